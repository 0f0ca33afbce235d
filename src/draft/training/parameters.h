// What every trainable draft does with its parameters: list them, load them by name, make a layer.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "draft/trainable.h"
#include "draft/training/frozen_tensors.h"
#include "nn/decoder_layer.h"

namespace speculators {

// What visit_parameters(model, ...) shows, in its order.
template <class Model>
std::vector<NamedParameter> parameters_of(Model& model) {
  std::vector<NamedParameter> parameters;
  visit_parameters(model, [&](const std::string& name, torch::Tensor& value) { parameters.push_back({name, value}); });
  return parameters;
}

// Copies tensors[name] into each parameter; names in the map that no parameter has are ignored.
// Throws DataError listing every parameter that is missing, misshapen or not finite.
void load_parameters(const std::vector<NamedParameter>& parameters,
                     const std::map<std::string, torch::Tensor>& tensors);

// The head of a checkpoint, where it has one, replaces the verifier's as the draft's own.
void load_own_head(FrozenTensors& frozen, const std::map<std::string, torch::Tensor>& tensors);

nn::LayerShape layer_shape(const ModelConfig& layer, bool has_qk_norms);

// t2d and d2t behind `tensors`, when the vocabulary is reduced.
void append_vocabulary(std::vector<NamedParameter>& tensors, const FrozenTensors& frozen);

}  // namespace speculators
