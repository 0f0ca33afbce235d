// Eight fp32 lanes in AVX2 and FMA. Meaning of each function: vector_portable.h.
// Included by *_avx2.cpp files only.
#pragma once

#include <immintrin.h>

#include "base/bf16.h"

namespace speculators {
namespace {

struct Avx2Vector {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  using V = __m256;

  static V zero() { return _mm256_setzero_ps(); }
  static V broadcast(float x) { return _mm256_set1_ps(x); }
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static void widen(const Bf16* p, V& low, V& high) {
    const __m256i both = _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
    low = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
    high = _mm256_and_ps(_mm256_castsi256_ps(both), _mm256_castsi256_ps(_mm256_set1_epi32(-65536)));
  }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V subtract(V a, V b) { return _mm256_sub_ps(a, b); }
  static V multiply(V a, V b) { return _mm256_mul_ps(a, b); }
  static V divide(V a, V b) { return _mm256_div_ps(a, b); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static V min(V a, V b) { return _mm256_min_ps(a, b); }
  static V zero_where_less(V x, V a, V b) { return _mm256_andnot_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ), x); }
  static bool any_equal(V a, V b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)) != 0; }
  static V power_of_two(V shifted) {
    const __m256i exponent = _mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }
  static void pin(V& a, V& b) { asm volatile("" : "+x"(a), "+x"(b) : : "memory"); }
  // Written out, since the compiler takes a function that only prefetches for one without effect.
  static void prefetch(const void* p) { asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(p))); }
};

}  // namespace
}  // namespace speculators
