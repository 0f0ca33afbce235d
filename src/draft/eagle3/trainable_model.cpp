#include "draft/eagle3/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "checkpoint/rotary_frequencies.h"
#include "draft/training/parameters.h"

namespace speculators {

bool Eagle3Model::is_sliding(size_t layer) const {
  const auto& types = config.layer.layer_types;
  return layer < types.size() && types[layer] == "sliding_attention" && config.layer.sliding_window.has_value();
}

Eagle3Model make_eagle3_model(const Eagle3Config& config, const Eagle3TrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  Eagle3Model model{config, options, std::move(frozen)};
  const int64_t hidden = config.layer.hidden_size, width = model.num_aux() * hidden;
  const RotaryFrequencies frequencies = rotary_frequencies(config.layer);
  model.rope = nn::Rope(frequencies.values, frequencies.attention_factor);
  model.fc = nn::LinearGroup(width, {hidden}, /*has_bias=*/false, generator);
  if (config.norm_before_fc) model.input_norm = nn::make_norm_parameter(width);
  for (int64_t j = 0; config.fc_norm && j < model.num_aux(); ++j)
    model.fc_norm.push_back(nn::make_norm_parameter(hidden));
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    nn::LayerShape shape = layer_shape(config.layer, config.layer.model_type == "qwen3");
    shape.has_hidden_norm = i == 0;
    shape.num_inputs = i == 0 ? 2 * hidden : hidden;
    model.layers.emplace_back(shape, generator);
  }
  model.norm = nn::make_norm_parameter(hidden);
  return model;
}

void visit_parameters(Eagle3Model& model, const nn::ParameterVisitor& visit) {
  visit("fc.weight", model.fc.weight(0));
  if (model.input_norm.defined()) visit("input_norm.weight", model.input_norm);
  for (size_t j = 0; j < model.fc_norm.size(); ++j) visit(fmt::format("fc_norm.{}.weight", j), model.fc_norm[j]);
  for (size_t i = 0; i < model.layers.size(); ++i)
    visit_parameters(model.layers[i], fmt::format("layers.{}.", i), visit);
  visit("norm.weight", model.norm);
}

}  // namespace speculators
