// The backbone of a draft that fills blocks, in training: its weights and the two ways to run them, up to the states
// that the head reads. Source: reference algorithms.md 7.3, 7.4.
// Dims: T packed tokens, A aux layers, D hidden size, G anchors, L block size, Q query slots.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "draft/block/trainable_convolutions.h"
#include "draft/block/trainable_options.h"
#include "draft/block/trainable_rows.h"
#include "draft/training/frozen_tensors.h"
#include "nn/decoder_layer.h"
#include "nn/rope.h"

namespace speculators {

struct BlockModel {
  BlockConfig config;
  BlockTrainingOptions options;
  FrozenTensors frozen;
  nn::Rope rope;
  nn::LinearGroup fc;                    // [D, A*D]
  torch::Tensor hidden_norm;             // [D], behind fc
  std::vector<nn::DecoderLayer> layers;  // qwen3 style
  torch::Tensor norm;                    // [D]
  // One per layer, or none. With them a slot hangs on those before it in its block: the query slots must be whole
  // starts of blocks (QuerySlots::kWholeStart).
  std::vector<LayerConvolutions> convolutions;

  bool is_sliding(size_t layer) const;
  // Inside a block: sliding layers look back only, unless the config says otherwise.
  bool is_causal(size_t layer) const { return is_sliding(layer) && !config.sliding_window_non_causal; }
  BlockVisibility visibility(size_t layer) const;
  // No layer looks back further than this.
  int64_t widest_window() const;
};

BlockModel make_block_model(const BlockConfig& config, const BlockTrainingOptions& options, FrozenTensors frozen,
                            at::Generator& generator);
void visit_parameters(BlockModel& model, const nn::ParameterVisitor& visit);

// The batch's rows on the host, its shapes checked.
BatchRows read_batch_rows(const BlockModel& model, const TrainBatch& batch);
BlockRows make_block_rows(const BlockModel& model, const TrainBatch& batch, BlockPlan plan, QuerySlots queries);

// Normed states of every slot, block by block: dense masks, torch operations. [G*L, D]
torch::Tensor block_states_plain(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors);
// Normed states of the query slots: only the rows and slots that reach the loss, fused operations; fp32 or bf16
// products on a CPU. [Q, D]
torch::Tensor block_states(const BlockModel& model, const TrainBatch& batch, const BlockRows& rows);
// Operations that one row of this batch needs, forward and backward, the loss's logits included: counted, not measured.
double block_flops(const BlockModel& model, const BlockRows& rows);

}  // namespace speculators
