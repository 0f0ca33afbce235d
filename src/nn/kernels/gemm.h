// Single-threaded matrix products out of the BLAS that libtorch carries (MKL on x86, OpenBLAS elsewhere), for use
// inside parallel regions on small strided blocks. Row-major; `ld` is the floats between rows.
#pragma once

#include <cstdint>

extern "C" void sgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace speculators::nn {

// A matrix, or the transpose of the one that is stored.
struct Matrix {
  const float* data;
  int64_t ld;
  bool transposed = false;
};

struct Product {
  int64_t m, n, k;
  Matrix a, b;              // a is [m, k], b is [k, n], once transposed
  bool accumulate = false;  // c += instead of c =
};

// c [m, n] = a b. Fortran's columns are our rows, so it computes c' = b' a'.
inline void multiply(const Product& p, float* c, int64_t ldc) {
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
  const int lda = static_cast<int>(p.a.ld), ldb = static_cast<int>(p.b.ld), ld = static_cast<int>(ldc);
  const float one = 1.0f, beta = p.accumulate ? 1.0f : 0.0f;
  sgemm_(p.b.transposed ? "T" : "N", p.a.transposed ? "T" : "N", &n, &m, &k, &one, p.b.data, &ldb, p.a.data, &lda,
         &beta, c, &ld);
}

}  // namespace speculators::nn
