// The version of this program, and the upstream format version that its checkpoints declare.
#pragma once

namespace speculators {

inline constexpr const char* kVersion = "0.1.0";
inline constexpr const char* kFormatVersion = "0.9.0";  // `speculators_version` in config.json

}  // namespace speculators
