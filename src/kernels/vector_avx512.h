// Sixteen fp32 lanes in AVX-512 (F, BW, VL, DQ). Meaning of each function: vector_portable.h.
// Included by *_avx512.cpp files only.
#pragma once

#include <immintrin.h>

#include "base/bf16.h"

namespace speculators {
namespace {

struct Avx512Vector {
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;
  using V = __m512;

  static V zero() { return _mm512_setzero_ps(); }
  static V broadcast(float x) { return _mm512_set1_ps(x); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static void widen(const Bf16* p, V& low, V& high) {
    const __m512i both = _mm512_load_si512(p);
    low = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
    high = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(-65536)));
  }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V subtract(V a, V b) { return _mm512_sub_ps(a, b); }
  static V multiply(V a, V b) { return _mm512_mul_ps(a, b); }
  static V divide(V a, V b) { return _mm512_div_ps(a, b); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V min(V a, V b) { return _mm512_min_ps(a, b); }
  static V zero_where_less(V x, V a, V b) {
    return _mm512_maskz_mov_ps(static_cast<__mmask16>(~_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)), x);
  }
  static bool any_equal(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ) != 0; }
  static V power_of_two(V shifted) {
    const __m512i exponent = _mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
  }
  static void pin(V& a, V& b) { asm volatile("" : "+v"(a), "+v"(b) : : "memory"); }
  // Written out, since the compiler takes a function that only prefetches for one without effect.
  static void prefetch(const void* p) { asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(p))); }
};

}  // namespace
}  // namespace speculators
