#include "checkpoint/gguf_llama.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>

#include "base/errors.h"
#include "checkpoint/gguf_dequantize.h"

namespace speculators {
namespace {

constexpr std::string_view kRopeFactors = "rope_freqs.weight";

[[noreturn]] void fail(const GgufMetadata& metadata, std::string_view problem) {
  throw DataError(fmt::format("{}: {}", metadata.place(), problem));
}

int64_t get_size(const GgufMetadata& metadata, std::string_view key) {
  const int64_t value = metadata.get_int(key);
  if (value < 1 || value > INT32_MAX)
    fail(metadata, fmt::format("{}: expected 1 to {}, found {}", key, INT32_MAX, value));
  return value;
}

// Numbers are stored in fp32: 9.9999997e-06 stands for 1e-5, the shortest decimal that gives the same fp32.
double as_written(double value) { return std::stod(fmt::format("{}", static_cast<float>(value))); }

// One factor per frequency of Llama 3's rule with the published constants (algorithms.md 4.3).
bool matches_llama3(const std::vector<float>& factors, const RopeParameters& rope, int64_t head_dim) {
  for (size_t i = 0; i < factors.size(); ++i) {
    const double frequency = std::pow(rope.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    const double turns =
        static_cast<double>(*rope.original_max_position_embeddings) * frequency / (2 * std::numbers::pi);
    const double low = *rope.low_freq_factor, high = *rope.high_freq_factor;
    double expected = 1.0;
    if (turns < low) {
      expected = *rope.factor;
    } else if (turns <= high) {
      const double smooth = (turns - low) / (high - low);
      expected = 1.0 / ((1.0 - smooth) / *rope.factor + smooth);
    }
    if (std::abs(factors[i] - expected) > 1e-3 * expected) return false;
  }
  return true;
}

// llama.cpp stores Llama 3's RoPE as the factors themselves; the constants are found again and checked.
void read_rope_factors(const GgufTensor& tensor, const GgufMetadata& metadata, ModelConfig& config) {
  const std::vector<float> factors = dequantize(tensor);
  RopeParameters& rope = config.rope;
  rope.rope_type = "llama3";
  rope.factor = factors.empty() ? 1.0 : as_written(factors.back());
  rope.low_freq_factor = 1.0;
  rope.high_freq_factor = 4.0;
  rope.original_max_position_embeddings = 8192;
  const bool has_all = static_cast<int64_t>(factors.size()) * 2 == config.head_dim;
  if (!has_all || !matches_llama3(factors, rope, config.head_dim)) {
    fail(metadata,
         fmt::format("{}: expected the factors of Llama 3's RoPE, found others; not supported", kRopeFactors));
  }
}

void read_rope_scaling(const GgufMetadata& metadata, ModelConfig& config) {
  const std::string type = metadata.find_string("llama.rope.scaling.type").value_or("none");
  if (type == "none") return;
  const auto factor = metadata.find_double("llama.rope.scaling.factor");
  if ((type != "linear" && type != "yarn") || !factor || *factor <= 0) {
    fail(metadata,
         fmt::format("llama.rope.scaling: expected type none, linear or yarn with a factor above 0, found {}", type));
  }
  config.rope.rope_type = type;
  config.rope.factor = as_written(*factor);
  if (type == "yarn") {
    config.rope.original_max_position_embeddings =
        metadata.find_int("llama.rope.scaling.original_context_length").value_or(config.max_position_embeddings);
  }
}

int64_t get_head_dim(const GgufMetadata& metadata, const ModelConfig& config) {
  if (metadata.has("llama.attention.key_length")) return get_size(metadata, "llama.attention.key_length");
  if (config.hidden_size % config.num_attention_heads != 0) {
    fail(metadata, fmt::format("llama.embedding_length {} is not a multiple of {} heads", config.hidden_size,
                               config.num_attention_heads));
  }
  return config.hidden_size / config.num_attention_heads;
}

void read_token_ids(const GgufMetadata& metadata, ModelConfig& config) {
  config.bos_token_id = metadata.find_int("tokenizer.ggml.bos_token_id");
  config.pad_token_id = metadata.find_int("tokenizer.ggml.padding_token_id");
  if (const auto eos = metadata.find_int("tokenizer.ggml.eos_token_id")) config.eos_token_ids = {*eos};
  const auto end_of_turn = metadata.find_int("tokenizer.ggml.eot_token_id");
  if (end_of_turn && config.eos_token_ids != std::vector<int64_t>{*end_of_turn})
    config.eos_token_ids.push_back(*end_of_turn);
}

void check_plain_llama(const GgufMetadata& metadata) {
  const std::string architecture = metadata.get_string("general.architecture");
  if (architecture != "llama") {
    fail(metadata,
         fmt::format("general.architecture: expected llama, found {}; other architectures are not imported, use a "
                     "folder in Hugging Face form",
                     architecture));
  }
  if (metadata.find_int("llama.expert_count").value_or(0) > 0)
    fail(metadata, "llama.expert_count: experts are not supported");
  if (metadata.find_int("split.count").value_or(1) > 1) {
    fail(metadata, "split.count: the model lies in several files; join them with llama-gguf-split --merge");
  }
}

}  // namespace

ModelConfig make_llama_config(const GgufMetadata& metadata, const GgufTensors& tensors) {
  check_plain_llama(metadata);
  ModelConfig config;
  config.model_type = "llama";
  config.architectures = {"LlamaForCausalLM"};
  config.vocab_size = static_cast<int64_t>(metadata.get_strings("tokenizer.ggml.tokens").size());
  config.hidden_size = get_size(metadata, "llama.embedding_length");
  config.intermediate_size = get_size(metadata, "llama.feed_forward_length");
  config.num_hidden_layers = get_size(metadata, "llama.block_count");
  config.num_attention_heads = get_size(metadata, "llama.attention.head_count");
  config.num_key_value_heads = metadata.has("llama.attention.head_count_kv")
                                   ? get_size(metadata, "llama.attention.head_count_kv")
                                   : config.num_attention_heads;
  config.head_dim = get_head_dim(metadata, config);
  config.max_position_embeddings = get_size(metadata, "llama.context_length");
  config.rms_norm_eps = as_written(metadata.get_double("llama.attention.layer_norm_rms_epsilon"));
  const int64_t rotated = metadata.find_int("llama.rope.dimension_count").value_or(config.head_dim);
  if (rotated != config.head_dim) {
    fail(metadata,
         fmt::format("llama.rope.dimension_count: expected the head size {}, found {}; RoPE over part of a head is "
                     "not supported",
                     config.head_dim, rotated));
  }
  config.rope.rope_theta = as_written(metadata.find_double("llama.rope.freq_base").value_or(10000.0));
  read_rope_scaling(metadata, config);
  if (const auto factors = tensors.find(kRopeFactors); factors != tensors.end()) {
    read_rope_factors(factors->second, metadata, config);
  }
  config.tie_word_embeddings = !tensors.contains("output.weight");
  read_token_ids(metadata, config);
  return parse_model_config(to_json(config), metadata.place());  // checks that the sizes fit each other
}

namespace {

// Looks each tensor of the model up, and keeps a list of what is wrong.
class TensorLister {
 public:
  explicit TensorLister(const GgufTensors& tensors) : tensors_(tensors) {}

  void add(const std::string& gguf_name, std::string name, std::vector<int64_t> shape, int64_t interleaved_heads = 0) {
    expected_.insert(gguf_name);
    const auto found = tensors_.find(gguf_name);
    if (found == tensors_.end()) {
      problems_.push_back(fmt::format("{} is missing", gguf_name));
    } else if (found->second.shape != shape) {
      problems_.push_back(fmt::format("{}: expected {}, found {}", gguf_name, fmt::join(shape, " x "),
                                      fmt::join(found->second.shape, " x ")));
    } else {
      listed_.push_back({std::move(name), std::move(shape), &found->second, interleaved_heads});
    }
  }

  std::vector<LlamaTensor> finish(const std::string& place) {
    for (const auto& [name, tensor] : tensors_) {
      if (!expected_.contains(name)) problems_.push_back(fmt::format("{} is not part of a plain Llama", name));
    }
    if (problems_.empty()) return std::move(listed_);
    const size_t num_shown = std::min<size_t>(problems_.size(), 20);
    const auto shown = std::span(problems_).first(num_shown);
    const auto more = problems_.size() > num_shown ? fmt::format("; and {} more", problems_.size() - num_shown) : "";
    throw DataError(fmt::format("{}: {}{}", place, fmt::join(shown, "; "), more));
  }

 private:
  const GgufTensors& tensors_;
  std::set<std::string> expected_ = {std::string(kRopeFactors)};
  std::vector<std::string> problems_;
  std::vector<LlamaTensor> listed_;
};

}  // namespace

std::vector<LlamaTensor> list_llama_tensors(const ModelConfig& config, const GgufTensors& tensors,
                                            const std::string& place) {
  const int64_t hidden = config.hidden_size, intermediate = config.intermediate_size;
  const int64_t num_heads = config.num_attention_heads, num_kv_heads = config.num_key_value_heads;
  const int64_t q_rows = num_heads * config.head_dim, kv_rows = num_kv_heads * config.head_dim;
  TensorLister lister(tensors);
  lister.add("token_embd.weight", "model.embed_tokens.weight", {config.vocab_size, hidden});
  for (int64_t i = 0; i < config.num_hidden_layers && i < static_cast<int64_t>(tensors.size()); ++i) {
    const std::string from = fmt::format("blk.{}.", i), to = fmt::format("model.layers.{}.", i);
    lister.add(from + "attn_norm.weight", to + "input_layernorm.weight", {hidden});
    lister.add(from + "attn_q.weight", to + "self_attn.q_proj.weight", {q_rows, hidden}, num_heads);
    lister.add(from + "attn_k.weight", to + "self_attn.k_proj.weight", {kv_rows, hidden}, num_kv_heads);
    lister.add(from + "attn_v.weight", to + "self_attn.v_proj.weight", {kv_rows, hidden});
    lister.add(from + "attn_output.weight", to + "self_attn.o_proj.weight", {hidden, q_rows});
    lister.add(from + "ffn_norm.weight", to + "post_attention_layernorm.weight", {hidden});
    lister.add(from + "ffn_gate.weight", to + "mlp.gate_proj.weight", {intermediate, hidden});
    lister.add(from + "ffn_up.weight", to + "mlp.up_proj.weight", {intermediate, hidden});
    lister.add(from + "ffn_down.weight", to + "mlp.down_proj.weight", {hidden, intermediate});
  }
  lister.add("output_norm.weight", "model.norm.weight", {hidden});
  if (!config.tie_word_embeddings) lister.add("output.weight", "lm_head.weight", {config.vocab_size, hidden});
  return lister.finish(place);
}

std::vector<Bf16> load_llama_tensor(const LlamaTensor& tensor) {
  const std::vector<float> values = dequantize(*tensor.source);
  std::vector<Bf16> out(values.size());
  const int64_t num_rows = tensor.shape[0];
  const int64_t width = static_cast<int64_t>(values.size()) / num_rows;
  const int64_t rows_per_head = tensor.interleaved_heads > 0 ? num_rows / tensor.interleaved_heads : 0;
  for (int64_t row = 0; row < num_rows; ++row) {
    int64_t from = row;
    if (rows_per_head > 0) {
      // Row s * H/2 + i of a head (s: half) lies at 2 * i + s: with H = 4, rows 0 1 2 3 come from 0 2 1 3.
      const int64_t head = row / rows_per_head, within = row % rows_per_head;
      from = head * rows_per_head + 2 * (within % (rows_per_head / 2)) + within / (rows_per_head / 2);
    }
    for (int64_t i = 0; i < width; ++i) out[row * width + i] = to_bf16(values[from * width + i]);
  }
  return out;
}

}  // namespace speculators
