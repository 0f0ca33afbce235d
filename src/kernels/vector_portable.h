// Eight fp32 lanes in plain C++: the vector type of machines without hand-written kernels, and the model that the
// intrinsic twins (vector_avx2.h, vector_avx512.h) follow. Included by the files of one instruction set only.
// L = kLanes. `widen` splits 2L bf16 held as L dwords: low halves are outputs 0..L-1, high halves outputs L..2L-1.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "base/bf16.h"

namespace speculators {
namespace {

template <int Lanes>
struct PortableVector {
  static constexpr int kLanes = Lanes;
  static constexpr int kRegisters = 16;  // tile sizes follow it
  struct V {
    float lane[Lanes];
  };

  static V zero() { return broadcast(0.0f); }
  static V broadcast(float x) {
    V v;
    for (int i = 0; i < Lanes; ++i) v.lane[i] = x;
    return v;
  }
  static V load(const float* p) {
    V v;
    for (int i = 0; i < Lanes; ++i) v.lane[i] = p[i];
    return v;
  }
  static void store(float* p, V v) {
    for (int i = 0; i < Lanes; ++i) p[i] = v.lane[i];
  }
  static void widen(const Bf16* p, V& low, V& high) {
    for (int i = 0; i < Lanes; ++i) {
      low.lane[i] = std::bit_cast<float>(uint32_t{p[2 * i].bits} << 16);
      high.lane[i] = std::bit_cast<float>(uint32_t{p[2 * i + 1].bits} << 16);
    }
  }
  static V fma(V a, V b, V c) {  // a * b + c, rounded once
    for (int i = 0; i < Lanes; ++i) c.lane[i] = std::fma(a.lane[i], b.lane[i], c.lane[i]);
    return c;
  }
  static V add(V a, V b) {
    for (int i = 0; i < Lanes; ++i) a.lane[i] += b.lane[i];
    return a;
  }
  static V subtract(V a, V b) {
    for (int i = 0; i < Lanes; ++i) a.lane[i] -= b.lane[i];
    return a;
  }
  static V multiply(V a, V b) {
    for (int i = 0; i < Lanes; ++i) a.lane[i] *= b.lane[i];
    return a;
  }
  static V divide(V a, V b) {
    for (int i = 0; i < Lanes; ++i) a.lane[i] /= b.lane[i];
    return a;
  }
  static V max(V a, V b) {
    for (int i = 0; i < Lanes; ++i) a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
  }
  static V min(V a, V b) {
    for (int i = 0; i < Lanes; ++i) a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
  }
  // x where a < b is false, else 0.
  static V zero_where_less(V x, V a, V b) {
    for (int i = 0; i < Lanes; ++i) x.lane[i] = a.lane[i] < b.lane[i] ? 0.0f : x.lane[i];
    return x;
  }
  static bool any_equal(V a, V b) {
    bool equal = false;
    for (int i = 0; i < Lanes; ++i) equal |= a.lane[i] == b.lane[i];
    return equal;
  }
  // 2^n for whole n in [-126, 127], given the bits of n + 1.5 * 2^23.
  static V power_of_two(V shifted) {
    for (int i = 0; i < Lanes; ++i) {
      shifted.lane[i] = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted.lane[i]) + 127u) << 23);
    }
    return shifted;
  }
  // Loads and sums stay in the order that is written: a compiler that moves loads ahead pushes sums out of registers.
  static void pin(V&, V&) {}
  static void prefetch(const void*) {}
};

}  // namespace
}  // namespace speculators
