// The selector of DFlash2 in serving form: it scores the K likeliest tokens of a slot, knowing the token before it:
// score(c) = logit(c) + sum_k A[before]_k (W h)_k B[c]_k. Source: reference algorithms.md 8a.4, 8a.7.
// Dims: M rows (slots), D hidden size, V vocabulary, r rank, K candidates. Not thread-safe: buffers are kept.
#pragma once

#include <span>
#include <vector>

#include "checkpoint/safetensors.h"
#include "draft/dflash2/config.h"
#include "draft/embedding_table.h"
#include "kernels/packed_linear.h"

namespace speculators {

// Valid until the next call.
struct ScoredCandidates {
  std::span<const int32_t> ids;  // [K], largest logit first
  std::span<float> scores;       // [K]
};

class CandidateSelector {
 public:
  // `weights` were checked against their table; their bytes must outlive the selector.
  CandidateSelector(const TensorFile& weights, const DFlash2Config& config);

  int64_t rank() const { return hidden_projection_.num_outputs(); }
  // W h: states [M, D] -> projected [M, r].
  void project(const float* states, int64_t num_rows, float* projected) const {
    hidden_projection_.forward(states, num_rows, projected);
  }
  // logits [V] and projected [r] of one slot. Throws DataError when a codebook row is not finite.
  ScoredCandidates score(std::span<const float> logits, const float* projected, int32_t token_before);

 private:
  EmbeddingTable predecessors_, successors_;  // A, B
  PackedLinear hidden_projection_;            // W
  std::vector<int32_t> ids_;                  // [K]
  std::vector<float> scores_, context_, row_;
};

}  // namespace speculators
