// The two heads of DSpark in serving form. The Markov head corrects the logits of a slot from the token before it:
// logits += W2 m, where m is w = W1[token] (vanilla), sigmoid(G [h; w] + b) * w (gated), or the output of a small
// recurrent cell over the block (rnn). The confidence head estimates the chance that the slot's token is accepted.
// Source: reference algorithms.md 8.2. Not thread-safe: buffers are kept from call to call.
// Dims: R rows (one slot of each block), D hidden size, r rank, V draft vocabulary.
#pragma once

#include <vector>

#include "checkpoint/safetensors.h"
#include "draft/draft_layers.h"
#include "draft/dspark/config.h"
#include "draft/embedding_table.h"
#include "kernels/packed_linear.h"

namespace speculators {

// One slot of one block.
struct HeadRow {
  const float* state = nullptr;  // h [D]
  float* embedding = nullptr;    // w [r]
  float* memory = nullptr;       // [r], what the rnn keeps from slot to slot; moved on
};

class MarkovHead {
 public:
  // `weights` were checked against their table; their bytes must outlive the head.
  MarkovHead(const TensorFile& weights, const DSparkConfig& config);

  int64_t rank() const { return rank_; }
  // w of a verifier token. [r] Throws DataError when the row is not finite.
  void embed(int32_t token, float* row) const { w1_.copy_finite_row(token, row); }
  // m of every row. [R, r]
  void factors(const std::vector<HeadRow>& rows, float* factors);
  // W2 m. [R, r] -> [R, V]
  void bias(const float* factors, int64_t num_rows, float* bias) const { w2_.forward(factors, num_rows, bias); }

 private:
  void gated_factors(const std::vector<HeadRow>& rows, float* factors);
  void recurrent_factors(const std::vector<HeadRow>& rows, float* factors);

  MarkovHeadType type_;
  int64_t rank_, hidden_size_;
  EmbeddingTable w1_;
  PackedLinear w2_, mix_;  // mix: gate_proj or joint_proj
  Buffer inputs_, mixed_;
};

class ConfidenceHead {
 public:
  ConfidenceHead(const TensorFile& weights, const DSparkConfig& config);
  // In [0, 1].
  float chance(const HeadRow& row) const;

 private:
  int64_t hidden_size_;
  std::vector<float> weight_;  // [D] or [D + r]
  float bias_;
};

}  // namespace speculators
