// e^x over a vector type, and the sum of 16 lanes in a fixed order.
// Constants: ops_kernels.h; plain twin: plain_math.cpp.
#pragma once

#include "kernels/ops_kernels.h"

namespace speculators {
namespace {

template <class T>
inline typename T::V exp_lanes(typename T::V x) {
  using V = typename T::V;
  const V lowest = T::broadcast(kExpLowest);
  const V clamped = T::max(T::min(x, T::broadcast(kExpHighest)), lowest);
  const V shifted = T::fma(clamped, T::broadcast(kLog2E), T::broadcast(kRoundingShift));
  const V n = T::subtract(shifted, T::broadcast(kRoundingShift));
  V r = T::fma(n, T::broadcast(-kLn2High), clamped);
  r = T::fma(n, T::broadcast(-kLn2Low), r);
  V p = T::broadcast(kExpPolynomial[4]);
#pragma GCC unroll 4
  for (int i = 3; i >= 0; --i) p = T::fma(p, r, T::broadcast(kExpPolynomial[i]));
  const V e = T::add(T::fma(p, T::multiply(r, r), r), T::broadcast(1.0f));
  return T::zero_where_less(T::multiply(e, T::power_of_two(shifted)), x, lowest);
}

inline float sum_16_lanes(float* lanes) {
  for (int distance = 8; distance > 0; distance /= 2) {
    for (int i = 0; i < distance; ++i) lanes[i] += lanes[i + distance];
  }
  return lanes[0];
}

// 16 lanes as 16 / L registers.
template <class T>
struct Lanes16 {
  static constexpr int kParts = 16 / T::kLanes;
  typename T::V part[kParts];

  static Lanes16 broadcast(float x) {
    Lanes16 lanes;
    for (int i = 0; i < kParts; ++i) lanes.part[i] = T::broadcast(x);
    return lanes;
  }
  static Lanes16 load(const float* p) {
    Lanes16 lanes;
    for (int i = 0; i < kParts; ++i) lanes.part[i] = T::load(p + i * T::kLanes);
    return lanes;
  }
  // The first `count` values, `padding` behind them.
  static Lanes16 load_some(const float* p, int64_t count, float padding) {
    if (count >= 16) return load(p);
    float padded[16];
    for (int64_t i = 0; i < 16; ++i) padded[i] = i < count ? p[i] : padding;
    return load(padded);
  }
  void store(float* p) const {
    for (int i = 0; i < kParts; ++i) T::store(p + i * T::kLanes, part[i]);
  }
  void store_some(float* p, int64_t count) const {
    if (count >= 16) return store(p);
    float padded[16];
    store(padded);
    for (int64_t i = 0; i < count; ++i) p[i] = padded[i];
  }
  template <class Function>
  static Lanes16 map(Function function) {  // function(part index) -> V
    Lanes16 lanes;
    for (int i = 0; i < kParts; ++i) lanes.part[i] = function(i);
    return lanes;
  }
  float sum() const {
    float lanes[16];
    store(lanes);
    return sum_16_lanes(lanes);
  }
  float max() const {
    float lanes[16];
    store(lanes);
    float best = lanes[0];
    for (int i = 1; i < 16; ++i) best = lanes[i] > best ? lanes[i] : best;
    return best;
  }
};

}  // namespace
}  // namespace speculators
