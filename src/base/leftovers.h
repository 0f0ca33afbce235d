// What a killed run left beside a file or folder: the temporaries of base/files.h, ".<name>.tmp-<pid>".
#pragma once

#include "base/files.h"

namespace speculators {

// Removes the temporaries of `path` whose process is no more. Nothing else in the folder is touched; never throws.
void remove_leftovers(const fs::path& path);
// The same for every name in `folder`.
void remove_leftovers_in(const fs::path& folder);

}  // namespace speculators
