// Is a sample drawn from a given distribution? The G-test (likelihood ratio), for tests with fixed seeds.
// Free of gtest, so that developer programs can use it too.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace speculators::testing {

// Standard score of the G statistic of `counts` against `probabilities` (they sum to 1): about N(0, 1) when the sample
// comes from them, large when it does not. A count where the probability is 0 gives infinity.
// Cells that expect few entries are pooled.
double g_test_score(std::span<const int64_t> counts, std::span<const double> probabilities);

// The same for two samples from one unknown distribution. Cells with few entries are pooled.
double two_sample_g_test_score(std::span<const int64_t> first, std::span<const int64_t> second);

// Scores above this reject: one false alarm in 30,000.
inline constexpr double kRejectScore = 4.0;

}  // namespace speculators::testing
