// The causal refiner of XPress in serving form. It adds to the logits of a slot a bias that hangs on the slot's state,
// on the mean state of its block, and on the tokens before it in the block:
//   a_k = W_in [W_h h_k; W_g mean(h); E[token before slot k]],  x_k = a_k + sum over j <= k of L[:, k, j] a_j,
//   x_k += W_down (silu(W_gate x_k) W_up x_k),  logits_k += W_out x_k.
// Source: reference algorithms.md 8b.2. Not thread-safe: buffers are kept from call to call.
// Dims: R rows (slots of some blocks), L block size, D hidden size, r rank, V draft vocabulary.
#pragma once

#include <span>
#include <vector>

#include "checkpoint/safetensors.h"
#include "draft/draft_layers.h"
#include "draft/embedding_table.h"
#include "draft/xpress/config.h"
#include "kernels/packed_linear.h"

namespace speculators {

// One slot of one block whose logits are worked out.
struct RefinerRow {
  const float* features = nullptr;  // of the block [L, 2r]
  float* inputs = nullptr;          // a of the block [L, r]; this slot's is written
  int64_t slot = 0;
  int32_t previous = 0;         // verifier id of the token before the slot
  const float* base = nullptr;  // logits of the frozen head [V]
  float* logits = nullptr;      // base plus bias [V]; null: only a is wanted
};

class Refiner {
 public:
  // `weights` were checked against their table; their bytes must outlive the refiner.
  Refiner(const TensorFile& weights, const XPressConfig& config);

  int64_t rank() const { return rank_; }
  // What stays the same in every pass: states [L, D] of a whole block -> features [L, 2r].
  void read_block(const float* states, float* features);
  // All rows in one pass; of each block, a of the slots before and between them must be there or be among the rows.
  // Throws DataError when an embedding is not finite.
  void refine(std::span<const RefinerRow> rows);

 private:
  void fill_inputs(std::span<const RefinerRow> rows);
  void mix(const RefinerRow& row, float* x) const;

  int64_t rank_, mlp_width_, block_size_, hidden_size_;
  EmbeddingTable token_embed_;
  PackedLinear down_h_, down_g_, in_proj_, gate_up_, down_, readout_;
  std::vector<float> mix_;  // L by query slot, key slot, channel: [L, L, r]
  std::vector<RefinerRow> wanted_;
  Buffer mean_, projected_, inputs_, outputs_, x_, gates_, activated_, bias_;
};

}  // namespace speculators
