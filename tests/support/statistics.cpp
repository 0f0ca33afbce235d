#include "tests/support/statistics.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace speculators::testing {
namespace {

// Cells that expect fewer are pooled: the statistic of nearly empty cells is not chi-square.
constexpr double kFewestExpected = 5;

// Wilson-Hilferty: the cube root of a chi-square variable is close to normal.
double chi_square_score(double statistic, int64_t degrees) {
  const double spread = 2.0 / (9.0 * static_cast<double>(degrees));
  return (std::cbrt(statistic / static_cast<double>(degrees)) - (1 - spread)) / std::sqrt(spread);
}

}  // namespace

double g_test_score(std::span<const int64_t> counts, std::span<const double> probabilities) {
  const auto total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  double statistic = 0, rare_count = 0, rare_probability = 0;
  int64_t cells = 0;
  const auto add = [&](double count, double probability) {
    ++cells;
    if (count > 0) statistic += 2 * count * std::log(count / (total * probability));
  };
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto count = static_cast<double>(counts[i]);
    if (probabilities[i] <= 0) {
      if (count > 0) return std::numeric_limits<double>::infinity();
    } else if (total * probabilities[i] < kFewestExpected) {
      rare_count += count, rare_probability += probabilities[i];
    } else {
      add(count, probabilities[i]);
    }
  }
  if (rare_probability > 0) add(rare_count, rare_probability);
  return chi_square_score(statistic, cells - 1);
}

double two_sample_g_test_score(std::span<const int64_t> first, std::span<const int64_t> second) {
  std::vector<double> a, b;
  double rare_a = 0, rare_b = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    const auto x = static_cast<double>(first[i]), y = static_cast<double>(second[i]);
    if (x + y >= 20) {
      a.push_back(x), b.push_back(y);
    } else {
      rare_a += x, rare_b += y;
    }
  }
  if (rare_a + rare_b >= 20) a.push_back(rare_a), b.push_back(rare_b);
  const double total_a = std::accumulate(a.begin(), a.end(), 0.0), total_b = std::accumulate(b.begin(), b.end(), 0.0);
  double statistic = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double share = (a[i] + b[i]) / (total_a + total_b);
    if (a[i] > 0) statistic += 2 * a[i] * std::log(a[i] / (share * total_a));
    if (b[i] > 0) statistic += 2 * b[i] * std::log(b[i] / (share * total_b));
  }
  return chi_square_score(statistic, static_cast<int64_t>(a.size()) - 1);
}

}  // namespace speculators::testing
