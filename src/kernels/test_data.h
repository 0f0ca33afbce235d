// Deterministic numbers for the tests of kernels/. Included by tests only.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "base/bf16.h"

namespace speculators {

inline std::vector<float> random_floats(int64_t count, uint32_t seed, float deviation = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

inline std::vector<Bf16> random_weights(int64_t count, uint32_t seed) {
  std::vector<Bf16> weights;
  for (const float value : random_floats(count, seed)) weights.push_back(to_bf16(value));
  return weights;
}

}  // namespace speculators
