// The weights of a P-EAGLE draft in training and the two ways to run them. Internal to peagle/; see trainable.h.
// Dims: T packed tokens, A aux layers, D hidden size, Vv verifier vocabulary.
#pragma once

#include "draft/chain/trainable_network.h"
#include "draft/peagle/targets.h"
#include "draft/peagle/trainable.h"

namespace speculators {

struct PEagleModel {
  PEagleConfig config;
  PEagleTrainingOptions options;
  ChainNetwork network;
  torch::Tensor embed_tokens;  // [Vv, D], a parameter with embed_requires_grad
  torch::Tensor mask_hidden;   // [1, 1, A*D], aux states of a slot that has none

  // The padding token's embedding gets no gradient, as with torch's padding_idx; -1: there is none.
  int64_t padding_token() const { return config.layer.pad_token_id.value_or(-1); }
};

PEagleModel make_peagle_model(const PEagleConfig& config, const PEagleTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed);
void visit_parameters(PEagleModel& model, const nn::ParameterVisitor& visit);

// Dense masks, every row, torch operations. `slots` of depth 1 and more.
LossResult peagle_forward_plain(const PEagleModel& model, const TrainBatch& batch, const std::vector<DepthSlot>& slots);
// Only the rows that reach the loss, fused operations; fp32 or bf16 products on a CPU.
LossResult peagle_forward(const PEagleModel& model, const TrainBatch& batch, const std::vector<DepthSlot>& slots);
// Operations that one row of this batch needs, forward and backward: counted, not measured (trainable_flops.cpp).
double peagle_needed_flops(const PEagleModel& model, const TrainBatch& batch, const std::vector<DepthSlot>& slots);

}  // namespace speculators
