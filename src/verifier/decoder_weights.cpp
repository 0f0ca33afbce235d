#include "verifier/decoder_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <string_view>

#include "base/errors.h"

namespace speculators {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

constexpr size_t kMaxProblems = 20;

void expect_linear(Shapes& shapes, const std::string& name, int64_t num_outputs, int64_t num_inputs, bool has_bias) {
  shapes[name + ".weight"] = {num_outputs, num_inputs};
  if (has_bias) shapes[name + ".bias"] = {num_outputs};
}

void expect_layer(Shapes& shapes, const std::string& prefix, const ModelConfig& config, const DecoderTraits& traits) {
  const int64_t q_size = config.num_attention_heads * config.head_dim;
  const int64_t kv_size = config.num_key_value_heads * config.head_dim;
  const int64_t width = config.hidden_size, inner = config.intermediate_size;
  expect_linear(shapes, prefix + "self_attn.q_proj", q_size, width, traits.qkv_bias);
  expect_linear(shapes, prefix + "self_attn.k_proj", kv_size, width, traits.qkv_bias);
  expect_linear(shapes, prefix + "self_attn.v_proj", kv_size, width, traits.qkv_bias);
  expect_linear(shapes, prefix + "self_attn.o_proj", width, q_size, traits.o_bias);
  expect_linear(shapes, prefix + "mlp.gate_proj", inner, width, traits.mlp_bias);
  expect_linear(shapes, prefix + "mlp.up_proj", inner, width, traits.mlp_bias);
  expect_linear(shapes, prefix + "mlp.down_proj", width, inner, traits.mlp_bias);
  shapes[prefix + "input_layernorm.weight"] = {width};
  shapes[prefix + "post_attention_layernorm.weight"] = {width};
  if (!traits.qk_norms) return;
  shapes[prefix + "self_attn.q_norm.weight"] = {config.head_dim};
  shapes[prefix + "self_attn.k_norm.weight"] = {config.head_dim};
}

// "model.", or nothing where only the decoder itself was saved.
std::string find_prefix(const TensorFile& file) { return file.find("embed_tokens.weight") ? "" : "model."; }

std::string layer_prefix(const std::string& prefix, int64_t layer) {
  return fmt::format("{}layers.{}.", prefix, layer);
}

Shapes expected_shapes(const std::string& prefix, const ModelConfig& config, const DecoderTraits& traits) {
  Shapes shapes;
  shapes[prefix + "embed_tokens.weight"] = {config.vocab_size, config.hidden_size};
  shapes[prefix + "norm.weight"] = {config.hidden_size};
  if (!config.tie_word_embeddings) shapes["lm_head.weight"] = {config.vocab_size, config.hidden_size};
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    expect_layer(shapes, layer_prefix(prefix, i), config, traits);
  }
  return shapes;
}

bool is_float(DType dtype) { return dtype == DType::kBF16 || dtype == DType::kF16 || dtype == DType::kF32; }

// Some files keep a copy of what is computed: the RoPE frequencies, or a head that equals the tied embedding.
bool may_be_ignored(std::string_view name) { return name.ends_with("rotary_emb.inv_freq") || name == "lm_head.weight"; }

std::vector<std::string> find_problems(const TensorFile& file, const Shapes& expected) {
  std::vector<std::string> problems;
  for (const auto& [name, shape] : expected) {
    const TensorView* tensor = file.find(name);
    if (!tensor) {
      problems.push_back(fmt::format("{}: missing, expected {}", name, shape_string(shape)));
    } else if (tensor->shape != shape) {
      problems.push_back(
          fmt::format("{}: expected {}, found {}", name, shape_string(shape), shape_string(tensor->shape)));
    } else if (!is_float(tensor->dtype)) {
      problems.push_back(fmt::format("{}: expected BF16, F16 or F32, found {}", name, name_of(tensor->dtype)));
    }
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (expected.contains(name) || may_be_ignored(name)) continue;
    problems.push_back(fmt::format("{}: unexpected, {}", name, shape_string(tensor.shape)));
  }
  return problems;
}

void check_tensors(const TensorFile& file, const Shapes& expected, const ModelConfig& config) {
  const std::vector<std::string> problems = find_problems(file, expected);
  if (problems.empty()) return;
  std::string message = fmt::format("{}: {} tensors do not fit its config.json (model_type {}):", file.path().string(),
                                    problems.size(), config.model_type);
  for (size_t i = 0; i < std::min(problems.size(), kMaxProblems); ++i) message += "\n  " + problems[i];
  if (problems.size() > kMaxProblems) message += fmt::format("\n  and {} more", problems.size() - kMaxProblems);
  throw DataError(message);
}

// Reads checked tensors by name.
class Reader {
 public:
  explicit Reader(const TensorFile& file) : file_(file) {}

  std::vector<float> vector(const std::string& name) const { return to_floats(file_.get(name), place(name)); }
  std::vector<Bf16> matrix(const std::string& name) const { return to_bf16s(file_.get(name), place(name)); }

  // Several linears with the same inputs, one below the other.
  PackedLinear linear(const std::string& prefix, const std::vector<std::string>& names, bool has_bias) const {
    std::vector<Bf16> converted, stacked;
    std::span<const Bf16> weight;
    std::vector<float> biases;
    for (const std::string& name : names) {
      weight = view_or_convert(prefix + name + ".weight", converted);
      if (names.size() > 1) stacked.insert(stacked.end(), weight.begin(), weight.end());
      if (!has_bias) continue;
      const std::vector<float> bias = vector(prefix + name + ".bias");
      biases.insert(biases.end(), bias.begin(), bias.end());
    }
    if (names.size() > 1) weight = stacked;
    const int64_t num_inputs = file_.get(prefix + names[0] + ".weight").shape[1];
    return PackedLinear(weight, static_cast<int64_t>(weight.size()) / num_inputs, num_inputs, biases);
  }

 private:
  // Weights that are bf16 already are packed straight out of the mapped file.
  std::span<const Bf16> view_or_convert(const std::string& name, std::vector<Bf16>& converted) const {
    const TensorView& tensor = file_.get(name);
    const auto* data = reinterpret_cast<const Bf16*>(tensor.bytes.data());
    const bool is_aligned = reinterpret_cast<uintptr_t>(data) % alignof(Bf16) == 0;
    if (tensor.dtype == DType::kBF16 && is_aligned) return {data, static_cast<size_t>(tensor.num_elements())};
    converted = to_bf16s(tensor, place(name));
    return converted;
  }
  std::string place(const std::string& name) const { return fmt::format("{}: {}", file_.path().string(), name); }

  const TensorFile& file_;
};

DecoderLayerWeights read_layer(const Reader& reader, const std::string& prefix, const DecoderTraits& traits) {
  DecoderLayerWeights layer;
  layer.input_norm = reader.vector(prefix + "input_layernorm.weight");
  layer.post_attention_norm = reader.vector(prefix + "post_attention_layernorm.weight");
  if (traits.qk_norms) {
    layer.q_norm = reader.vector(prefix + "self_attn.q_norm.weight");
    layer.k_norm = reader.vector(prefix + "self_attn.k_norm.weight");
  }
  layer.qkv = reader.linear(prefix + "self_attn.", {"q_proj", "k_proj", "v_proj"}, traits.qkv_bias);
  layer.o_proj = reader.linear(prefix + "self_attn.", {"o_proj"}, traits.o_bias);
  layer.gate_up = reader.linear(prefix + "mlp.", {"gate_proj", "up_proj"}, traits.mlp_bias);
  layer.down = reader.linear(prefix + "mlp.", {"down_proj"}, traits.mlp_bias);
  return layer;
}

}  // namespace

int64_t DecoderWeights::num_bytes() const {
  int64_t bytes = lm_head.weight_bytes() + static_cast<int64_t>(final_norm.size() * sizeof(float));
  for (const DecoderLayerWeights& layer : layers) {
    bytes += layer.qkv.weight_bytes() + layer.o_proj.weight_bytes() + layer.gate_up.weight_bytes() +
             layer.down.weight_bytes();
    bytes += static_cast<int64_t>(
        (layer.input_norm.size() + layer.post_attention_norm.size() + layer.q_norm.size() + layer.k_norm.size()) *
        sizeof(float));
  }
  return bytes;
}

DecoderWeights load_decoder_weights(const fs::path& folder, const ModelConfig& config, const DecoderTraits& traits) {
  const TensorFile file = TensorFile::open_folder(folder);
  const std::string prefix = find_prefix(file);
  check_tensors(file, expected_shapes(prefix, config, traits), config);
  const Reader reader(file);
  DecoderWeights weights;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    weights.layers.push_back(read_layer(reader, layer_prefix(prefix, i), traits));
  }
  weights.final_norm = reader.vector(prefix + "norm.weight");
  weights.lm_head = reader.linear(config.tie_word_embeddings ? prefix : "",
                                  {config.tie_word_embeddings ? "embed_tokens" : "lm_head"}, /*has_bias=*/false);
  if (!config.tie_word_embeddings) weights.embed_tokens = reader.matrix(prefix + "embed_tokens.weight");
  return weights;
}

}  // namespace speculators
