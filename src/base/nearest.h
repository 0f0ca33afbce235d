// "Did you mean": the known names nearest to what was written, by edit distance.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace speculators {

// At most `count` names, nearest first; far-off names are left out.
std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> known, size_t count = 3);

// "; did you mean a, b?" or "" when nothing is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

}  // namespace speculators
