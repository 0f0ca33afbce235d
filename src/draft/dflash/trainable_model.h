// The two ways to the loss of a DFlash draft: the block family's backbone and the head, nothing else. Internal to
// dflash/; see trainable.h.
#pragma once

#include <vector>

#include "draft/block/trainable_model.h"
#include "draft/trainable.h"

namespace speculators {

BlockModel make_dflash_model(const BlockConfig& config, const BlockTrainingOptions& options, FrozenTensors frozen,
                             uint64_t seed);

// `anchors`: ascending rows. Every slot, torch operations.
LossResult dflash_forward_plain(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
// Fused operations, only what reaches the loss. CPU.
LossResult dflash_forward(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
double dflash_needed_flops(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);

}  // namespace speculators
