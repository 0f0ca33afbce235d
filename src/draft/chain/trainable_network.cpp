#include "draft/chain/trainable_network.h"

#include <fmt/format.h>

#include "checkpoint/rotary_frequencies.h"
#include "draft/layer_checks.h"
#include "draft/training/parameters.h"
#include "nn/fused_ops.h"
#include "nn/linear_use.h"

namespace speculators {

ChainNetwork make_chain_network(const ChainConfig& config, FrozenTensors frozen, torch::ScalarType compute_dtype,
                                at::Generator& generator) {
  ChainNetwork network{std::move(frozen)};
  const int64_t hidden = config.layer.hidden_size;
  network.hidden_size = hidden;
  network.eps = config.layer.rms_norm_eps;
  network.hidden_act = config.layer.hidden_act;
  network.norm_before_residual = config.norm_before_residual;
  network.compute_dtype = compute_dtype;
  const RotaryFrequencies frequencies = rotary_frequencies(config.layer);
  network.rope = nn::Rope(frequencies.values, frequencies.attention_factor);
  network.fc = nn::LinearGroup(config.aux_width(), {hidden}, /*has_bias=*/false, generator);
  if (config.norm_before_fc) network.input_norm = nn::make_norm_parameter(config.aux_width());
  for (int64_t j = 0; config.fc_norm && j < config.num_aux(); ++j)
    network.fc_norm.push_back(nn::make_norm_parameter(hidden));
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    nn::LayerShape shape = layer_shape(config.layer, config.layer.model_type == "qwen3");
    shape.has_hidden_norm = i == 0;
    shape.num_inputs = i == 0 ? 2 * hidden : hidden;
    network.layers.emplace_back(shape, generator);
    network.windows.push_back(is_sliding(config.layer, i) ? config.layer.sliding_window : std::nullopt);
  }
  network.norm = nn::make_norm_parameter(hidden);
  return network;
}

void visit_parameters(ChainNetwork& network, const nn::ParameterVisitor& visit) {
  visit("fc.weight", network.fc.weight(0));
  if (network.input_norm.defined()) visit("input_norm.weight", network.input_norm);
  for (size_t j = 0; j < network.fc_norm.size(); ++j) visit(fmt::format("fc_norm.{}.weight", j), network.fc_norm[j]);
  for (size_t i = 0; i < network.layers.size(); ++i)
    visit_parameters(network.layers[i], fmt::format("layers.{}.", i), visit);
  visit("norm.weight", network.norm);
}

torch::Tensor fuse_aux_states(const ChainNetwork& network, const torch::Tensor& aux_states) {
  nn::FixedColumns columns{aux_states.to(torch::kFloat32)};
  if (network.input_norm.defined()) {
    columns = {nn::normalise(columns.rows, network.eps), {network.input_norm}};
  } else if (!network.fc_norm.empty()) {
    const auto chunks = columns.rows.view({-1, network.hidden_size});
    columns = {nn::normalise(chunks, network.eps).view({-1, network.aux_width()}), network.fc_norm};
  }
  return nn::LinearUse(network.fc, std::move(columns), network.compute_dtype).apply_fixed({}, {});
}

TrainDocument shift_document(TrainDocument document) {
  const int64_t length = document.input_ids.size(0), rows = std::max<int64_t>(length - 1, 0);
  const int64_t first = length - rows;
  document.input_ids = document.input_ids.narrow(0, first, rows);
  document.aux_hidden_states = document.aux_hidden_states.narrow(0, 0, rows);
  document.last_hidden_states = document.last_hidden_states.narrow(0, first, rows);
  document.loss_mask = document.loss_mask.narrow(0, first, rows);
  document.position_ids = document.position_ids.narrow(0, first, rows);
  return document;
}

}  // namespace speculators
