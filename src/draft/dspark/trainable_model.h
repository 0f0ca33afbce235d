// The weights of a DSpark draft in training and the two ways to run them. Internal to dspark/; see trainable.h.
// Dims: D hidden size, V draft vocabulary, Vv verifier vocabulary, r rank.
#pragma once

#include <vector>

#include "draft/block/trainable_model.h"
#include "draft/dspark/trainable.h"

namespace speculators {

struct DSparkModel {
  DSparkConfig config;
  DSparkTrainingOptions options;
  BlockModel block;
  torch::Tensor markov_w1;                           // [Vv, r]; undefined without a Markov head, as the next ones
  torch::Tensor markov_w2;                           // [V, r]
  torch::Tensor mix_weight, mix_bias;                // gated: [r, D+r], [r]; rnn: [3r, 2r+D], [3r]
  torch::Tensor confidence_weight, confidence_bias;  // [1, D (+r)], [1]; undefined without a confidence head
};

DSparkModel make_dspark_model(const DSparkConfig& config, const DSparkTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed);
void visit_parameters(DSparkModel& model, const nn::ParameterVisitor& visit);

// `anchors`: ascending rows. Every slot, torch operations.
LossResult dspark_forward_plain(const DSparkModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
// Fused operations, only what reaches the loss. CPU.
LossResult dspark_forward(const DSparkModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
double dspark_needed_flops(const DSparkModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);

}  // namespace speculators
