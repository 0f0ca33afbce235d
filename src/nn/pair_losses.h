// Element losses of (draft state, target row) pairs: both are projected onto the draft vocabulary by frozen heads and
// compared. The fused path never holds more than a chunk of logits: pairs are taken in the order of their target rows,
// the verifier's logits and softmax are worked out once per target row, and the gradient of the draft states is
// computed in the same pass, while the logits are at hand (it is linear in the later row weights). Heads get no
// gradient. Source: reference algorithms.md 10, 23. Dims: M draft states, T verifier rows, P pairs, D hidden size, V
// draft vocabulary, r rank of a bias.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "nn/loss_spec.h"
#include "nn/pair_candidates.h"

namespace speculators::nn {

struct FrozenHeads {
  torch::Tensor lm_head;           // fp32 [V, D]
  torch::Tensor verifier_lm_head;  // fp32 [V, D]; the same storage as lm_head until a checkpoint brings its own
  torch::Tensor verifier_norm;     // fp32 [D]
  double verifier_norm_eps = 1e-6;
};

// Pair p compares row states[p] of the draft's states with row targets[p] of the verifier's last hidden states.
struct PairRows {
  std::vector<int64_t> states;          // [P], no state twice
  std::vector<int64_t> targets;         // [P]
  std::vector<uint8_t> wants_gradient;  // [P]; empty: all. Without: only value and match are of interest
  std::vector<float> weights;           // [P]; pair_loss_sum only
};

struct PairLosses {
  torch::Tensor value;        // fp32 [P], differentiable: the compound loss
  torch::Tensor terms;        // fp32 [terms, P], no gradient; undefined unless the spec has several terms
  torch::Tensor match;        // bool [P]: the draft's argmax is the verifier's
  torch::Tensor acceptance;   // fp32 [P], no gradient: 1 - TV; undefined unless asked for
  PairCandidates candidates;  // undefined unless asked for
};

// What the draft's logits are made of: states lm_head' + factors bias_weight'. The bias of low rank may be absent.
struct DraftSide {
  torch::Tensor states;                                                       // [M, D], normed already
  torch::Tensor factors;                                                      // [M, r]
  torch::Tensor bias_weight;                                                  // fp32 [V, r]
  DraftSide(torch::Tensor draft_states) : states(std::move(draft_states)) {}  // no bias
  DraftSide(torch::Tensor draft_states, torch::Tensor bias_factors, torch::Tensor weight)
      : states(std::move(draft_states)), factors(std::move(bias_factors)), bias_weight(std::move(weight)) {}
  bool has_bias() const { return bias_weight.defined(); }
};

// verifier_states [T, D] are not normed. Gradient flows to the draft's side only. With acceptance.
PairLosses pair_losses_plain(const DraftSide& draft, const torch::Tensor& verifier_states, const PairRows& pairs,
                             const FrozenHeads& heads, const LossSpec& spec, int64_t num_candidates = 0);

struct PairLossOptions {
  LossSpec spec;
  torch::ScalarType compute_dtype = torch::kFloat32;
  int64_t chunk_bytes = int64_t{24} << 20;  // of logits; at least 64 rows are taken at once
  bool with_acceptance = false;
  int64_t num_candidates = 0;  // K, at most V; 0: none are kept
};
// The same, chunk by chunk, without bias. CPU.
PairLosses pair_losses(const torch::Tensor& draft_states, const torch::Tensor& verifier_states, const PairRows& pairs,
                       const FrozenHeads& heads, const PairLossOptions& options);

// The weighted sum of the pairs' losses, chunk by chunk, also with a bias: its weight's gradient is summed over all
// pairs while their logits are at hand, so the pairs' weights must be known before. CPU.
struct PairLossSum {
  torch::Tensor total;  // fp32 scalar, differentiable
  PairLosses pairs;     // no gradient
};
PairLossSum pair_loss_sum(const DraftSide& draft, const torch::Tensor& verifier_states, const PairRows& pairs,
                          const FrozenHeads& heads, const PairLossOptions& options);

// The results on the host, for weights and metrics.
struct PairOutcome {
  std::vector<float> value;               // [P]
  std::vector<std::vector<float>> terms;  // [terms][P]; empty unless the spec has several terms
  std::vector<uint8_t> match;             // [P]
  std::vector<float> acceptance;          // [P]; empty unless asked for
};
PairOutcome outcome_of(const PairLosses& losses);

// Host values as tensors.
torch::Tensor float_tensor(const std::vector<float>& values, torch::Device device = torch::kCPU);
torch::Tensor index_tensor(const std::vector<int64_t>& values, torch::Device device = torch::kCPU);

}  // namespace speculators::nn
