// The weights of a DFlash draft in training and the two ways to run them. Internal to dflash/; see trainable.h.
// Dims: T packed tokens, A aux layers, D hidden size, L block size.
#pragma once

#include <vector>

#include "draft/dflash/trainable.h"
#include "draft/training/frozen_tensors.h"
#include "nn/decoder_layer.h"
#include "nn/rope.h"

namespace speculators {

struct DFlashModel {
  DFlashConfig config;
  DFlashTrainingOptions options;
  FrozenTensors frozen;
  nn::Rope rope;
  nn::LinearGroup fc;                    // [D, A*D]
  torch::Tensor hidden_norm;             // [D], behind fc
  std::vector<nn::DecoderLayer> layers;  // qwen3 style
  torch::Tensor norm;                    // [D]

  int64_t num_aux() const { return static_cast<int64_t>(config.aux_layer_ids.size()); }
  bool is_sliding(size_t layer) const;
  // Inside a block: sliding layers look back only, unless the config says otherwise.
  bool is_causal(size_t layer) const { return is_sliding(layer) && !config.sliding_window_non_causal; }
};

DFlashModel make_dflash_model(const DFlashConfig& config, const DFlashTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed);
void visit_parameters(DFlashModel& model, const nn::ParameterVisitor& visit);

// `anchors`: ascending rows. Dense masks, every slot, torch operations.
LossResult dflash_forward_plain(const DFlashModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
// Only the rows and slots that reach the loss, fused operations; fp32 or bf16 products on a CPU.
LossResult dflash_forward(const DFlashModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
// Operations that one row of this batch needs, forward and backward: counted, not measured (trainable_flops.cpp).
double dflash_needed_flops(const DFlashModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);

}  // namespace speculators
