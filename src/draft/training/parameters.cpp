#include "draft/training/parameters.h"

#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include "base/errors.h"

namespace speculators {
namespace {

std::string shape_of(const torch::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes().vec(), ", ")); }

// Empty when `tensor` can fill `parameter`.
std::string complaint(const NamedParameter& parameter, const std::map<std::string, torch::Tensor>& tensors) {
  const auto found = tensors.find(parameter.name);
  if (found == tensors.end()) return fmt::format("{}: missing", parameter.name);
  if (found->second.sizes() != parameter.value.sizes()) {
    return fmt::format("{}: expected {}, found {}", parameter.name, shape_of(parameter.value), shape_of(found->second));
  }
  if (!found->second.is_floating_point()) return fmt::format("{}: expected floating-point values", parameter.name);
  if (!found->second.isfinite().all().item<bool>()) return fmt::format("{}: not every value is finite", parameter.name);
  return "";
}

}  // namespace

void load_parameters(const std::vector<NamedParameter>& parameters,
                     const std::map<std::string, torch::Tensor>& tensors) {
  std::vector<std::string> complaints;
  for (const NamedParameter& parameter : parameters) {
    const std::string text = complaint(parameter, tensors);
    if (!text.empty()) complaints.push_back(text);
  }
  if (!complaints.empty()) {
    throw DataError(fmt::format("draft weights: {}; is this a checkpoint of the same algorithm and shape?",
                                fmt::join(complaints, "; ")));
  }
  const at::NoGradGuard no_grad;
  for (const NamedParameter& parameter : parameters) {
    torch::Tensor value = parameter.value;
    value.copy_(tensors.at(parameter.name));
  }
}

void load_own_head(FrozenTensors& frozen, const std::map<std::string, torch::Tensor>& tensors) {
  const auto found = tensors.find("lm_head.weight");
  if (found == tensors.end()) return;
  if (found->second.sizes() != frozen.heads.lm_head.sizes()) {
    throw DataError(fmt::format("draft weights: lm_head.weight: expected {}, found {}", shape_of(frozen.heads.lm_head),
                                shape_of(found->second)));
  }
  const auto head = found->second.to(frozen.heads.lm_head.device(), torch::kFloat32);
  if (!head.equal(frozen.heads.lm_head)) frozen.heads.lm_head = head.clone();
}

nn::LayerShape layer_shape(const ModelConfig& layer, bool has_qk_norms) {
  nn::LayerShape shape;
  shape.num_inputs = layer.hidden_size;
  shape.hidden_size = layer.hidden_size;
  shape.intermediate_size = layer.intermediate_size;
  shape.num_heads = layer.num_attention_heads;
  shape.num_kv_heads = layer.num_key_value_heads;
  shape.head_dim = layer.head_dim;
  shape.has_qk_norms = has_qk_norms;
  shape.attention_bias = layer.attention_bias;
  shape.mlp_bias = layer.mlp_bias;
  return shape;
}

void append_vocabulary(std::vector<NamedParameter>& tensors, const FrozenTensors& frozen) {
  if (!frozen.t2d.defined()) return;
  tensors.push_back({"d2t", frozen.d2t});
  tensors.push_back({"t2d", frozen.t2d});
}

}  // namespace speculators
