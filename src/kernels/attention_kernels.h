// The inner loops of attention over pages, one function per instruction set. Internal to kernels/.
// Dims: H head dim.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace speculators {

// One query head of one row.
struct AttentionQuery {
  const float* q;      // [H]
  float* out;          // [H]
  int64_t begin, end;  // keys it sees; never empty
};

// Query heads that read the same key/value head of the same sequence.
struct AttentionTask {
  static constexpr int kMaxQueries = 12;
  AttentionQuery queries[kMaxQueries];
  int num_queries = 0;
  // Keys [H, kPageTokens], then values [kPageTokens, H]. Positions of the queries count from the first of these pages.
  const float* const* pages = nullptr;
  int64_t num_pages = 0;
  int64_t head_dim = 0;
  float scale = 0;
  float* scores = nullptr;  // room for [num_queries, num_pages * kPageTokens]
};

// Scores are sums over H in ascending order. Probabilities e^(score - max) are added in 16 lanes by position % 16 (then
// as in ops_kernels.h). Outputs are sums over positions in ascending order, multiplied by 1 / (sum of probabilities) at
// last.
using AttentionKernel = void (*)(const AttentionTask&);

void attend_portable(const AttentionTask& task);
void attend_avx2(const AttentionTask& task);
void attend_avx512(const AttentionTask& task);

AttentionKernel attention_kernel(Isa isa);

}  // namespace speculators
