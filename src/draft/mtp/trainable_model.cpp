#include "draft/mtp/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>

#include "checkpoint/rotary_frequencies.h"
#include "draft/mtp/weights.h"
#include "draft/training/parameters.h"
#include "nn/plain_ops.h"

namespace speculators {

MtpModel make_mtp_model(const MtpConfig& config, const MtpTrainingOptions& options, FrozenTensors frozen,
                        uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const ModelConfig layer = config.layer();
  const int64_t hidden = layer.hidden_size;
  MtpModel model{config, options, std::move(frozen)};
  const RotaryFrequencies frequencies = rotary_frequencies(layer);
  model.rope = nn::Rope(frequencies.values, frequencies.attention_factor);
  model.hidden_layernorm = nn::make_norm_parameter(hidden);
  model.token_layernorm = nn::make_norm_parameter(hidden);
  model.input_proj = nn::LinearGroup(2 * hidden, {hidden}, /*has_bias=*/false, generator);
  model.layer = nn::DecoderLayer(layer_shape(layer, layer.model_type == "qwen3"), generator);
  model.final_layernorm = nn::make_norm_parameter(hidden);
  return model;
}

void visit_parameters(MtpModel& model, const nn::ParameterVisitor& visit) {
  const std::string prefix = kMtpLayer;
  visit(prefix + "hidden_layernorm.weight", model.hidden_layernorm);
  visit(prefix + "token_layernorm.weight", model.token_layernorm);
  visit(prefix + "input_proj.weight", model.input_proj.weight(0));
  visit_parameters(model.layer, prefix, visit);
  visit(prefix + "final_layernorm.weight", model.final_layernorm);
}

MtpPlan make_mtp_plan(const MtpModel& model, const TrainBatch& batch) {
  const BatchRows rows = read_batch_rows(batch, /*aux_width=*/0, model.config.verifier.hidden_size);
  return plan_mtp_steps(rows, host_values(batch.position_ids), model.options.num_steps, model.options.compat_upstream);
}

torch::Tensor first_states(const MtpModel& model, const torch::Tensor& last_hidden_states) {
  const auto states = last_hidden_states.to(torch::kFloat32);
  if (!model.config.normed_hidden_states) return states;
  return nn::rms_norm_plain(states, model.frozen.heads.verifier_norm, model.frozen.heads.verifier_norm_eps);
}

std::vector<int64_t> labels_of(const MtpPlan& plan, const TrainBatch& batch) {
  const std::vector<int64_t> ids = host_values(batch.input_ids);
  std::vector<int64_t> labels;
  for (size_t k = 0; k < plan.steps.size(); ++k) {
    for (const int64_t row : plan.steps[k].labelled) labels.push_back(ids[label_row(row, static_cast<int64_t>(k))]);
  }
  return labels;
}

}  // namespace speculators
