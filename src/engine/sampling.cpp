#include "engine/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/errors.h"
#include "kernels/ops.h"

namespace speculators {
namespace {

void check_range(bool holds, const char* name, const char* expected, double found) {
  if (!holds) throw UsageError(fmt::format("sampling parameter {}: expected {}, got {}", name, expected, found));
}

void apply_min_p(std::span<float> probabilities, double min_p) {
  const float threshold = static_cast<float>(min_p) * *std::max_element(probabilities.begin(), probabilities.end());
  for (float& p : probabilities) p = p < threshold ? 0.0f : p;
}

void apply_top_k(std::span<float> probabilities, int64_t top_k, std::vector<int32_t>& order) {
  if (top_k >= static_cast<int64_t>(probabilities.size())) return;
  order.resize(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::nth_element(order.begin(), order.begin() + (top_k - 1), order.end(),
                   [&](int32_t a, int32_t b) { return probabilities[a] > probabilities[b]; });
  const float border = probabilities[order[top_k - 1]];
  for (float& p : probabilities) p = p < border ? 0.0f : p;
}

// Keeps the most probable tokens until their sum reaches top_p of the whole; among equals the smaller id goes first.
// Only as many tokens are sorted as the sum needs: a full sort of a large vocabulary costs milliseconds.
void apply_top_p(std::span<float> probabilities, double top_p, std::vector<int32_t>& order) {
  const auto larger = [&](int32_t a, int32_t b) {
    return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
  };
  order.clear();
  double total = 0;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    total += probabilities[i];
    if (probabilities[i] > 0) order.push_back(static_cast<int32_t>(i));
  }
  double sum = 0;
  size_t kept = 0;
  for (size_t sorted = 0; kept < order.size() && sum < top_p * total;) {
    const size_t end = std::min(order.size(), std::max<size_t>(64, sorted * 4));
    if (end < order.size()) std::nth_element(order.begin() + sorted, order.begin() + end, order.end(), larger);
    std::sort(order.begin() + sorted, order.begin() + end, larger);
    sorted = end;
    while (kept < sorted && sum < top_p * total) sum += probabilities[order[kept++]];
  }
  for (size_t i = std::max<size_t>(kept, 1); i < order.size(); ++i) probabilities[order[i]] = 0;
}

void normalise(std::span<float> probabilities) {
  const double total = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  const auto scale = static_cast<float>(1.0 / total);
  for (float& p : probabilities) p *= scale;
}

}  // namespace

void check_sampling_params(const SamplingParams& params) {
  check_range(params.temperature >= 0 && std::isfinite(params.temperature), "temperature", "a number >= 0",
              params.temperature);
  check_range(params.top_k >= 0, "top_k", "an integer >= 0 (0 switches it off)", static_cast<double>(params.top_k));
  check_range(params.top_p > 0 && params.top_p <= 1, "top_p", "a number in (0, 1]", params.top_p);
  check_range(params.min_p >= 0 && params.min_p <= 1, "min_p", "a number in [0, 1]", params.min_p);
}

bool is_greedy(const SamplingParams& params) { return params.temperature < 1e-5; }

std::mt19937_64 make_generator(uint64_t seed) { return std::mt19937_64(seed); }

double draw_uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

void to_distribution(std::span<float> logits, const SamplingParams& params, std::vector<int32_t>& scratch) {
  softmax(logits.data(), static_cast<int64_t>(logits.size()), static_cast<float>(1.0 / params.temperature));
  const bool filters = params.min_p > 0 || params.top_k > 0 || params.top_p < 1;
  if (params.min_p > 0) apply_min_p(logits, params.min_p);
  if (params.top_k > 0) apply_top_k(logits, params.top_k, scratch);
  if (params.top_p < 1) apply_top_p(logits, params.top_p, scratch);
  if (filters) normalise(logits);
}

int32_t draw(std::span<const float> weights, std::mt19937_64& random) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double point = draw_uniform(random) * total;
  double sum = 0;
  int32_t last = -1;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    sum += weights[i];
    last = static_cast<int32_t>(i);
    if (sum > point) return last;
  }
  if (last < 0) throw std::logic_error("draw: no weight is positive");
  return last;  // rounding left the point at the very end
}

TopTwo top_two(std::span<const float> logits) {
  TopTwo top = top_one(logits);
  float second = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (static_cast<int32_t>(i) != top.best) second = std::max(second, logits[i]);
  }
  top.margin = top.value - second;
  return top;
}

TopTwo top_one(std::span<const float> logits) {
  const auto best = static_cast<int32_t>(argmax(logits.data(), static_cast<int64_t>(logits.size())));
  return {.best = best, .value = logits[best]};
}

}  // namespace speculators
