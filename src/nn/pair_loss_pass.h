// The chunked pass behind pair_losses and pair_loss_sum: pairs in the order of their target rows, so that the
// verifier's logits of a row are computed once; a chunk's logits are turned into their gradient in place and used up
// before the next chunk. Internal to nn/. Dims: see pair_losses.h.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "nn/kernels/row_kernels.h"
#include "nn/pair_losses.h"

namespace speculators::nn {

// What the pass fills where a gradient is wanted. Rows lie in the order of the pass, not yet scaled by pair.
struct PairGradients {
  torch::Tensor states;       // [P, D]
  torch::Tensor factors;      // [P, r]; undefined without a bias
  torch::Tensor bias_weight;  // [V, r], of the weighted sum of all pairs (the weights of PairRows)
  bool wanted() const { return states.defined(); }
};

class PairLossPass {
 public:
  // Everything without gradient; what is referred to outlives the pass.
  PairLossPass(const DraftSide& draft, const torch::Tensor& verifier_states, const PairRows& pairs,
               const FrozenHeads& heads, const PairLossOptions& options);

  void run(PairGradients& gradients);
  PairLosses losses() const;                                    // no gradient
  const std::vector<int64_t>& order() const { return order_; }  // the pair of each row of the gradients

 private:
  // Pairs order[begin, end) have the distinct targets of this chunk, one behind the other.
  struct Chunk {
    int64_t begin = 0, end = 0;
    std::vector<int64_t> targets;    // distinct rows of the verifier's states
    std::vector<int64_t> target_of;  // per pair, index into targets
  };

  std::vector<Chunk> make_chunks() const;
  void run_targets(const Chunk& chunk, std::vector<TargetRow>& rows);
  void run_chunk(const Chunk& chunk, PairGradients& gradients);
  void fill_logits(const torch::Tensor& rows, torch::Tensor& logits);
  void fill_candidates(const Chunk& chunk, const torch::Tensor& logits, const std::vector<const TargetRow*>& targets);
  void fill_gradients(const Chunk& chunk, const torch::Tensor& logits, PairGradients& gradients);
  bool is_wanted(LossKind kind) const { return weights_.wanted[static_cast<int>(kind)]; }

  const DraftSide draft_;
  const torch::Tensor verifier_states_;
  const PairRows& pairs_;
  const FrozenHeads& heads_;
  const PairLossOptions& options_;
  LossWeights weights_;
  const int64_t vocab_;
  bool needs_logs_ = false, needs_probabilities_ = true;
  std::vector<int64_t> order_;  // pairs by target row
  std::vector<DraftRow> results_;
  std::vector<uint8_t> match_;
  torch::Tensor logits_, target_logits_, logs_, factors_;
  PairCandidates candidates_;
};

}  // namespace speculators::nn
