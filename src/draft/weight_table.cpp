#include "draft/weight_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/errors.h"

namespace speculators {
namespace {

bool is_of_type(DType dtype, WeightType type) {
  switch (type) {
    case WeightType::kFloat:
      return dtype == DType::kBF16 || dtype == DType::kF16 || dtype == DType::kF32;
    case WeightType::kInt64:
      return dtype == DType::kI64;
    case WeightType::kBool:
      return dtype == DType::kBool;
  }
  return false;
}

std::string_view name_of(WeightType type) {
  switch (type) {
    case WeightType::kFloat:
      return "BF16, F16 or F32";
    case WeightType::kInt64:
      return "I64";
    case WeightType::kBool:
      return "BOOL";
  }
  return "";
}

using TensorIndex = std::map<std::string, const TensorView*, std::less<>>;

std::vector<std::string> list_faults(const WeightTable& table, const TensorIndex& tensors, bool saving) {
  std::vector<std::string> faults;
  std::set<std::string_view> known;
  for (const WeightSpec& spec : table) {
    known.insert(spec.name);
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) {
      const bool required =
          spec.required == WeightPresence::kAlways || (saving && spec.required == WeightPresence::kOnlyWhenSaving);
      if (required) faults.push_back(fmt::format("{}: missing, expected {}", spec.name, shape_string(spec.shape)));
      continue;
    }
    const TensorView& tensor = *found->second;
    if (tensor.shape != spec.shape) {
      faults.push_back(
          fmt::format("{}: expected {}, found {}", spec.name, shape_string(spec.shape), shape_string(tensor.shape)));
    } else if (!is_of_type(tensor.dtype, spec.type)) {
      faults.push_back(
          fmt::format("{}: expected {}, found {}", spec.name, name_of(spec.type), speculators::name_of(tensor.dtype)));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name)) faults.push_back(fmt::format("{}: not a tensor of this speculator", name));
  }
  return faults;
}

void throw_faults(const std::vector<std::string>& faults, const std::string& place) {
  if (faults.empty()) return;
  throw DataError(fmt::format("{}: {} tensor{} not as config.json says; do config and weights belong together?\n  {}",
                              place, faults.size(), faults.size() == 1 ? " is" : "s are", fmt::join(faults, "\n  ")));
}

}  // namespace

void append_layer_weights(WeightTable& table, const ModelConfig& layer, const std::string& prefix, int64_t num_inputs,
                          bool has_qk_norms) {
  const int64_t hidden = layer.hidden_size, intermediate = layer.intermediate_size;
  const int64_t queries = layer.num_attention_heads * layer.head_dim;
  const int64_t keys = layer.num_key_value_heads * layer.head_dim;
  const bool has_mlp_bias = layer.mlp_bias && layer.model_type == "llama";
  const auto norm = [&](const std::string& name, int64_t width) { table.push_back({prefix + name, {width}}); };
  const auto linear = [&](const std::string& name, int64_t outputs, int64_t inputs, bool has_bias) {
    table.push_back({prefix + name + ".weight", {outputs, inputs}});
    if (has_bias) table.push_back({prefix + name + ".bias", {outputs}});
  };
  norm("input_layernorm.weight", hidden);
  linear("self_attn.q_proj", queries, num_inputs, layer.attention_bias);
  linear("self_attn.k_proj", keys, num_inputs, layer.attention_bias);
  linear("self_attn.v_proj", keys, num_inputs, layer.attention_bias);
  linear("self_attn.o_proj", hidden, queries, layer.attention_bias);
  if (has_qk_norms) {
    norm("self_attn.q_norm.weight", layer.head_dim);
    norm("self_attn.k_norm.weight", layer.head_dim);
  }
  norm("post_attention_layernorm.weight", hidden);
  linear("mlp.gate_proj", intermediate, hidden, has_mlp_bias);
  linear("mlp.up_proj", intermediate, hidden, has_mlp_bias);
  linear("mlp.down_proj", hidden, intermediate, has_mlp_bias);
}

void append_vocabulary_weights(WeightTable& table, const ModelConfig& layer, int64_t draft_vocab_size,
                               WeightPresence full_head) {
  const bool reduced = draft_vocab_size != layer.vocab_size;
  table.push_back({"lm_head.weight",
                   {draft_vocab_size, layer.hidden_size},
                   WeightType::kFloat,
                   reduced ? WeightPresence::kAlways : full_head});
  if (!reduced) return;
  table.push_back({"d2t", {draft_vocab_size}, WeightType::kInt64});
  table.push_back({"t2d", {layer.vocab_size}, WeightType::kBool, WeightPresence::kOnlyWhenSaving});
}

void check_loaded_tensors(const WeightTable& table, const TensorFile& file) {
  TensorIndex index;
  for (const auto& [name, tensor] : file.tensors()) index.emplace(name, &tensor);
  throw_faults(list_faults(table, index, /*saving=*/false), file.path().string());
}

void check_saved_tensors(const WeightTable& table, const NamedTensors& tensors, const std::string& place) {
  TensorIndex index;
  for (const auto& [name, tensor] : tensors) index.emplace(name, &tensor);
  throw_faults(list_faults(table, index, /*saving=*/true), place);
}

}  // namespace speculators
