#include "tests/support/tiny_verifier.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/bf16.h"
#include "checkpoint/safetensors.h"

namespace speculators::testing {
namespace {

// Sums of uniform draws: unlike std::normal_distribution the same in every standard library.
class RandomWeights {
 public:
  explicit RandomWeights(uint64_t seed) : random_(seed) {}

  Tensor draw(std::vector<int64_t> shape, float mean, float deviation) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    std::vector<Bf16> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(to_bf16(mean + deviation * draw_one()));
    return make_tensor(std::move(shape), std::span<const Bf16>(values));
  }

 private:
  float draw_one() {  // mean 0, variance 1
    float sum = 0;
    for (int i = 0; i < 3; ++i) sum += static_cast<float>(random_() >> 40) * 0x1p-23f - 1;
    return sum;
  }
  std::mt19937_64 random_;
};

struct Builder {
  OwnedTensors tensors;
  RandomWeights weights;

  void linear(const std::string& name, int64_t num_outputs, int64_t num_inputs, bool has_bias) {
    const float deviation = 1.0f / std::sqrt(static_cast<float>(num_inputs));
    tensors.emplace_back(name + ".weight", weights.draw({num_outputs, num_inputs}, 0, deviation));
    if (has_bias) tensors.emplace_back(name + ".bias", weights.draw({num_outputs}, 0, 0.5f));
  }
  void norm(const std::string& name, int64_t width) {
    tensors.emplace_back(name + ".weight", weights.draw({width}, 1, 0.2f));
  }
};

void build_layer(Builder& builder, const std::string& prefix, const ModelConfig& config) {
  const bool qkv_bias = config.attention_bias || config.model_type == "qwen2";
  const int64_t q_size = config.num_attention_heads * config.head_dim;
  const int64_t kv_size = config.num_key_value_heads * config.head_dim;
  builder.norm(prefix + "input_layernorm", config.hidden_size);
  builder.linear(prefix + "self_attn.q_proj", q_size, config.hidden_size, qkv_bias);
  builder.linear(prefix + "self_attn.k_proj", kv_size, config.hidden_size, qkv_bias);
  builder.linear(prefix + "self_attn.v_proj", kv_size, config.hidden_size, qkv_bias);
  builder.linear(prefix + "self_attn.o_proj", config.hidden_size, q_size, config.attention_bias);
  if (config.model_type == "qwen3") {
    builder.norm(prefix + "self_attn.q_norm", config.head_dim);
    builder.norm(prefix + "self_attn.k_norm", config.head_dim);
  }
  builder.norm(prefix + "post_attention_layernorm", config.hidden_size);
  builder.linear(prefix + "mlp.gate_proj", config.intermediate_size, config.hidden_size, config.mlp_bias);
  builder.linear(prefix + "mlp.up_proj", config.intermediate_size, config.hidden_size, config.mlp_bias);
  builder.linear(prefix + "mlp.down_proj", config.hidden_size, config.intermediate_size, config.mlp_bias);
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "speculators-test-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

ModelConfig tiny_config(const std::string& model_type) {
  ModelConfig config;
  config.model_type = model_type;
  config.architectures = {model_type == "llama"   ? "LlamaForCausalLM"
                          : model_type == "qwen3" ? "Qwen3ForCausalLM"
                          : model_type == "qwen2" ? "Qwen2ForCausalLM"
                                                  : "MistralForCausalLM"};
  config.vocab_size = 40;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.max_position_embeddings = 128;
  config.eos_token_ids = {2};
  config.bos_token_id = 1;
  return config;
}

OwnedTensors tiny_tensors(const ModelConfig& config, uint64_t seed) {
  Builder builder{{}, RandomWeights(seed)};
  builder.tensors.emplace_back("model.embed_tokens.weight",
                               builder.weights.draw({config.vocab_size, config.hidden_size}, 0, 1));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i)
    build_layer(builder, fmt::format("model.layers.{}.", i), config);
  builder.norm("model.norm", config.hidden_size);
  // A wide spread of logits: greedy tokens then do not hang on the last bit.
  if (!config.tie_word_embeddings) {
    builder.tensors.emplace_back("lm_head.weight", builder.weights.draw({config.vocab_size, config.hidden_size}, 0, 1));
  }
  return std::move(builder.tensors);
}

void write_verifier(const fs::path& folder, const ModelConfig& config, const OwnedTensors& tensors) {
  make_folders(folder);
  write_json(folder / "config.json", to_json(config));
  NamedTensors views;
  for (const auto& [name, tensor] : tensors) views.emplace_back(name, tensor.view());
  write_safetensors(folder / "model.safetensors", views);
}

void write_tiny_verifier(const fs::path& folder, const ModelConfig& config, uint64_t seed) {
  write_verifier(folder, config, tiny_tensors(config, seed));
}

}  // namespace speculators::testing
