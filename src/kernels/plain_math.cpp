#include "kernels/plain_math.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/ops_kernels.h"

namespace speculators {

float plain_exp(float x) {
  if (x < kExpLowest) return 0.0f;
  const float clamped = x < kExpHighest ? x : kExpHighest;
  const float shifted = std::fma(clamped, kLog2E, kRoundingShift);
  const float n = shifted - kRoundingShift;
  const float r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, clamped));
  float p = kExpPolynomial[4];
  for (int i = 3; i >= 0; --i) p = std::fma(p, r, kExpPolynomial[i]);
  const float e = std::fma(p, r * r, r) + 1.0f;
  return e * std::bit_cast<float>(static_cast<uint32_t>(static_cast<int>(n) + 127) << 23);
}

float plain_sum_16_lanes(float* lanes) {
  for (int distance = 8; distance > 0; distance /= 2) {
    for (int i = 0; i < distance; ++i) lanes[i] += lanes[i + distance];
  }
  return lanes[0];
}

}  // namespace speculators
