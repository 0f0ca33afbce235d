// How many processors this process may really use.
#pragma once

namespace speculators {

// Physical cores within our affinity mask, but no more than the control group's CPU quota allows; at least 1.
int count_usable_cores();

}  // namespace speculators
