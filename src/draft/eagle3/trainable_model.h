// The weights of an EAGLE-3 draft in training and the two ways to run them. Internal to eagle3/; see trainable.h.
// Dims: T packed tokens, A aux layers, D hidden size.
#pragma once

#include "draft/chain/trainable_network.h"
#include "draft/eagle3/trainable.h"

namespace speculators {

struct Eagle3Model {
  Eagle3Config config;
  Eagle3TrainingOptions options;
  ChainNetwork network;
};

Eagle3Model make_eagle3_model(const Eagle3Config& config, const Eagle3TrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed);
void visit_parameters(Eagle3Model& model, const nn::ParameterVisitor& visit);

// Dense masks, every row, torch operations.
LossResult eagle3_forward_plain(const Eagle3Model& model, const TrainBatch& batch);
// Only the rows that reach the loss, fused operations; fp32 or bf16 products on a CPU.
LossResult eagle3_forward(const Eagle3Model& model, const TrainBatch& batch);
// Operations that one row of this batch needs, forward and backward: counted, not measured (trainable_flops.cpp).
double eagle3_needed_flops(const Eagle3Model& model, const TrainBatch& batch);

}  // namespace speculators
