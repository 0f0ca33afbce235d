// The generated tables behind unicode.h; see tools/make_unicode_tables.py.
#pragma once

#include <cstddef>
#include <cstdint>

namespace speculators::unicode {

extern const uint32_t kRuns[];
extern const size_t kNumRuns;
extern const uint32_t kNewLowerCase[];
extern const size_t kNumNewLowerCase;

}  // namespace speculators::unicode
