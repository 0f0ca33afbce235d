// The causal refiner in training, up to the latent state x of every slot: bias = x readout'. Internal to xpress/.
// Source: reference algorithms.md 8b.2. Dims: G blocks, L block size, D hidden size, r rank, N passes.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "draft/xpress/trainable_model.h"

namespace speculators {

// The share of a slot's state and of its block's mean in the refiner's inputs, the same in every pass.
// states [G*L, D] of whole blocks -> [G*L, r]
torch::Tensor refiner_features(const XPressModel& model, const torch::Tensor& states);
// Latent states of N passes at once: `previous` holds the tokens before the slots [N*G*L], pass by pass, verifier ids.
// features [G*L, r] -> [N*G*L, r]
torch::Tensor refiner_latents(const XPressModel& model, const torch::Tensor& features,
                              const std::vector<int64_t>& previous);

// The same for one pass, in the order of the source: states [G*L, D], previous [G*L] -> [G*L, r]
torch::Tensor refiner_latents_plain(const XPressModel& model, const torch::Tensor& states,
                                    const std::vector<int64_t>& previous);

}  // namespace speculators
