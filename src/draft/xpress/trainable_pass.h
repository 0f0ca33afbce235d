// All losses of an XPress step, a few whole blocks at a time: the verifier's and the frozen head's logits of a chunk
// are worked out once, each pass adds its bias to a copy, and a round reads the argmax of the one before it. The
// gradients of the logits are used up while they are at hand; those that reach the states are summed first, so that the
// frozen head is multiplied once. Internal to xpress/. Source: reference algorithms.md 8b.3, 8b.4. Dims: G blocks, L
// block size, N refined passes, D hidden size, V draft vocabulary, r rank.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "draft/xpress/targets.h"
#include "draft/xpress/trainable_model.h"

namespace speculators {

struct RefinedLosses {
  XPressSums sums;
  std::vector<int64_t> previous;  // what the passes read before each slot, pass by pass [N*G*L]
  // Gradients of the total; undefined where none is wanted.
  torch::Tensor d_states;   // through the frozen head alone [G*L, D]
  torch::Tensor d_latents;  // [N*G*L, r]
  torch::Tensor d_readout;  // [V, r]
};

// `rows` with whole blocks; states [G*L, D] of all their slots, features [G*L, r] of refiner_features. Keeps no graph.
RefinedLosses refined_losses(const XPressModel& model, const TrainBatch& batch, const BlockRows& rows,
                             const torch::Tensor& states, const torch::Tensor& features);

}  // namespace speculators
