// The Markov and the confidence head in training. Internal to dspark/. Source: reference algorithms.md 8.2.
// Dims: Q query slots, G blocks, L block size, D hidden size, r rank.
#pragma once

#include <torch/types.h>

#include <vector>

#include "draft/dspark/trainable_model.h"

namespace speculators {

// What the logit bias is made of: bias = factors W2'. `states` h [Q, D] and `embeddings` w [Q, r] of `slots` [Q],
// ascending; the rnn needs every slot of a block from its first one. -> [Q, r]
torch::Tensor markov_factors(const DSparkModel& model, const torch::Tensor& states, const torch::Tensor& embeddings,
                             const std::vector<int64_t>& slots);
// The same, slot by slot over whole blocks: states [G*L, D], embeddings [G*L, r]. -> [G*L, r]
torch::Tensor markov_factors_plain(const DSparkModel& model, const torch::Tensor& states,
                                   const torch::Tensor& embeddings);

// Before the sigmoid. [n]; `embeddings` may be undefined when the head does not read them.
torch::Tensor confidence_logits(const DSparkModel& model, const torch::Tensor& states, const torch::Tensor& embeddings);

}  // namespace speculators
