// The weights of an XPress draft in training and the two ways to run them. Internal to xpress/; see trainable.h.
// Dims: D hidden size, L block size, V draft vocabulary, Vv verifier vocabulary, r rank, m width of the refiner's MLP.
#pragma once

#include <vector>

#include "draft/block/trainable_model.h"
#include "draft/xpress/trainable.h"

namespace speculators {

struct XPressModel {
  XPressConfig config;
  XPressTrainingOptions options;
  BlockModel block;
  torch::Tensor token_embed;       // [Vv, r]
  torch::Tensor down_h, down_g;    // [r, D] of a slot's state, of the mean over its block
  torch::Tensor in_proj;           // [r, 3r]
  torch::Tensor mix_l;             // [r, L, L]: channel, query slot, key slot; only j <= k is read
  torch::Tensor mlp_gate, mlp_up;  // [m, r]
  torch::Tensor mlp_down;          // [r, m]
  torch::Tensor readout;           // [V, r]
};

XPressModel make_xpress_model(const XPressConfig& config, const XPressTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed);
void visit_parameters(XPressModel& model, const nn::ParameterVisitor& visit);

// `anchors`: ascending rows. Every slot, torch operations, the logits of all slots at once.
LossResult xpress_forward_plain(const XPressModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
// Fused operations, logits of a few blocks at a time, only what reaches the loss. CPU.
LossResult xpress_forward(const XPressModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
double xpress_needed_flops(const XPressModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);

}  // namespace speculators
