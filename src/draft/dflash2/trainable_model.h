// The weights of a DFlash2 draft in training and the two ways to run them. Internal to dflash2/; see trainable.h.
// Dims: D hidden size, V vocabulary, r selector rank.
#pragma once

#include <vector>

#include "draft/block/trainable_model.h"
#include "draft/dflash2/trainable.h"

namespace speculators {

struct DFlash2Model {
  DFlash2Config config;
  DFlash2TrainingOptions options;
  BlockModel block;                    // with convolutions
  torch::Tensor predecessor_codebook;  // [V, r]: of the token before a slot
  torch::Tensor successor_codebook;    // [V, r]: of a candidate
  nn::LinearGroup hidden_projection;   // [r, D]
};

DFlash2Model make_dflash2_model(const DFlash2Config& config, const DFlash2TrainingOptions& options,
                                FrozenTensors frozen, uint64_t seed);
void visit_parameters(DFlash2Model& model, const nn::ParameterVisitor& visit);

// `anchors`: ascending rows. Every slot, torch operations.
LossResult dflash2_forward_plain(const DFlash2Model& model, const TrainBatch& batch,
                                 const std::vector<int64_t>& anchors);
// Fused operations, only what reaches the loss. CPU.
LossResult dflash2_forward(const DFlash2Model& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
double dflash2_needed_flops(const DFlash2Model& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);

}  // namespace speculators
