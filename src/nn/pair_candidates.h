// The few candidates of each pair that a selector chooses among: the K draft tokens of the largest logits, and their
// scores once a bilinear term is added. Found while the chunked loss has the logits at hand, so nothing as wide as the
// vocabulary is kept. Source: reference algorithms.md 8a.4, 8a.5. Dims: P pairs, K candidates, D hidden size, V draft
// vocabulary, r rank.
#pragma once

#include <torch/types.h>

namespace speculators::nn {

// In the order of the pairs.
struct PairCandidates {
  torch::Tensor ids;     // int64 [P, K], largest logit first; where the verifier's choice is missing it is the last
  torch::Tensor logits;  // fp32 [P, K] of these; a graph member in the plain twin only
  torch::Tensor labels;  // int64 [P], the candidate that is the verifier's choice
  torch::Tensor holds_label;  // bool [P]: the K largest hold it by themselves
  torch::Tensor target_mass;  // fp32 [P], the verifier's probability of `ids` together
};

PairCandidates empty_candidates(int64_t num_pairs, int64_t num_candidates);
// Torch operations: logits [P, V] with their graph, target logits [P, V].
PairCandidates candidates_plain(const torch::Tensor& logits, const torch::Tensor& targets, int64_t num_candidates);

// What the score of a candidate is made of: its logit (states times its row of the head) + context . its codebook row.
struct CandidateSide {
  torch::Tensor states;    // [P, D]
  torch::Tensor context;   // [P, r]
  torch::Tensor codebook;  // fp32 [V, r]
};
// [P, K]; differentiable in all three: the logits' gradient goes to `states` through the rows of `lm_head` [V, D],
// which is frozen. CPU.
torch::Tensor candidate_scores(const CandidateSide& side, const torch::Tensor& lm_head,
                               const PairCandidates& candidates);
// The same where candidates.logits carry their own graph.
torch::Tensor candidate_scores_plain(const CandidateSide& side, const PairCandidates& candidates);

}  // namespace speculators::nn
