#include "draft/dflash/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "checkpoint/rotary_frequencies.h"
#include "draft/training/parameters.h"

namespace speculators {

bool DFlashModel::is_sliding(size_t layer) const {
  const auto& types = config.layer.layer_types;
  return layer < types.size() && types[layer] == "sliding_attention" && config.layer.sliding_window.has_value();
}

DFlashModel make_dflash_model(const DFlashConfig& config, const DFlashTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  DFlashModel model{config, options, std::move(frozen)};
  const int64_t hidden = config.layer.hidden_size;
  const RotaryFrequencies frequencies = rotary_frequencies(config.layer);
  model.rope = nn::Rope(frequencies.values, frequencies.attention_factor);
  model.fc = nn::LinearGroup(model.num_aux() * hidden, {hidden}, /*has_bias=*/false, generator);
  model.hidden_norm = nn::make_norm_parameter(hidden);
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    model.layers.emplace_back(layer_shape(config.layer, /*has_qk_norms=*/true), generator);
  }
  model.norm = nn::make_norm_parameter(hidden);
  return model;
}

void visit_parameters(DFlashModel& model, const nn::ParameterVisitor& visit) {
  visit("fc.weight", model.fc.weight(0));
  visit("hidden_norm.weight", model.hidden_norm);
  for (size_t i = 0; i < model.layers.size(); ++i)
    visit_parameters(model.layers[i], fmt::format("layers.{}.", i), visit);
  visit("norm.weight", model.norm);
}

}  // namespace speculators
