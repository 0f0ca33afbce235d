// The weights of an MTP head in training and the two ways to run them. Internal to mtp/; see trainable.h.
// Dims: T packed tokens, D hidden size.
#pragma once

#include "draft/mtp/targets.h"
#include "draft/mtp/trainable.h"
#include "draft/training/frozen_tensors.h"
#include "draft/training/layer_use.h"

namespace speculators {

struct MtpModel {
  MtpConfig config;
  MtpTrainingOptions options;
  FrozenTensors frozen;
  nn::Rope rope;
  torch::Tensor hidden_layernorm, token_layernorm;  // [D]
  nn::LinearGroup input_proj;                       // [D, 2D] over [embedding ; hidden]
  nn::DecoderLayer layer;
  torch::Tensor final_layernorm;  // [D]

  LayerSettings settings() const {
    return {config.verifier.rms_norm_eps, config.verifier.hidden_act, options.compute_dtype};
  }
  std::vector<double> step_weights() const { return mtp_step_weights(options.step_weight_beta, options.num_steps); }
};

MtpModel make_mtp_model(const MtpConfig& config, const MtpTrainingOptions& options, FrozenTensors frozen,
                        uint64_t seed);
void visit_parameters(MtpModel& model, const nn::ParameterVisitor& visit);
// Throws ShapeError for a batch of other widths.
MtpPlan make_mtp_plan(const MtpModel& model, const TrainBatch& batch);
// What step 0 reads. [R, D] fp32, no gradient.
torch::Tensor first_states(const MtpModel& model, const torch::Tensor& last_hidden_states);
// Token ids of the labelled rows, step behind step.
std::vector<int64_t> labels_of(const MtpPlan& plan, const TrainBatch& batch);

// Dense masks, every row, torch operations.
LossResult mtp_forward_plain(const MtpModel& model, const TrainBatch& batch);
// Only the rows that reach the loss, fused operations; fp32 or bf16 products on a CPU.
LossResult mtp_forward(const MtpModel& model, const TrainBatch& batch);
// Operations that one row of this batch needs, forward and backward: counted, not measured (trainable_flops.cpp).
double mtp_needed_flops(const MtpModel& model, const TrainBatch& batch);

}  // namespace speculators
