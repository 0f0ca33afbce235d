// --config FILE: option values from YAML (JSON is YAML). Values may sit under the command's name and inside groups, as
// upstream's run.yaml has them; keys are option names with dashes or underscores.
#pragma once

#include <string>
#include <string_view>

#include "base/options.h"

namespace speculators {

// Sets every option that the file names and no flag has set. Throws DataError for broken YAML, UsageError for unknown
// keys.
void apply_config_file(const std::string& path, std::string_view command, OptionList& options);

}  // namespace speculators
