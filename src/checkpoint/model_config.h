// A Hugging Face decoder `config.json` (llama, qwen3, ... ) as one plain struct, read from both RoPE dialects
// (`rope_parameters`, or `rope_theta` + `rope_scaling`) and written back in the newer one.
// Used for verifiers and, as `transformer_layer_config`, for drafts. Source: reference algorithms.md 2.4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace speculators {

struct RopeParameters {
  std::string rope_type = "default";  // default, linear, dynamic, yarn, longrope, llama3
  double rope_theta = 10000.0;
  std::optional<double> factor;
  std::optional<double> low_freq_factor, high_freq_factor;       // llama3
  std::optional<int64_t> original_max_position_embeddings;       // llama3, yarn, longrope
  std::optional<double> attention_factor, beta_fast, beta_slow;  // yarn
  std::optional<double> mscale, mscale_all_dim;                  // yarn
  std::optional<bool> truncate;                                  // yarn (gpt-oss writes false)
  std::optional<double> partial_rotary_factor;
  std::vector<double> short_factor, long_factor;  // longrope
  friend bool operator==(const RopeParameters&, const RopeParameters&) = default;
};

struct ModelConfig {
  std::string model_type;                  // "llama", "qwen3", ...
  std::vector<std::string> architectures;  // {"LlamaForCausalLM"}
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  // filled: null -> num_attention_heads
  int64_t head_dim = 0;             // filled: null -> hidden_size / num_attention_heads
  int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-6;
  double initializer_range = 0.02;
  std::string hidden_act = "silu";
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tie_word_embeddings = false;
  std::vector<std::string> layer_types;   // "full_attention" | "sliding_attention"; empty: full everywhere
  std::optional<int64_t> sliding_window;  // null when use_sliding_window is false
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;  // config.json has an int or a list
  RopeParameters rope;
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// `place` names the file (and nested key) in messages. Unknown keys are ignored; wrong types and impossible sizes throw
// DataError. Absent keys take the class defaults of `model_type` (llama, qwen3, qwen2); without a `model_type` those of
// qwen3, as upstream reads a `transformer_layer_config`. Other types must give their sizes. A composite's `text_config`
// is taken. RoPE given per layer type: that of `sliding_attention`, else of `full_attention`.
ModelConfig parse_model_config(const Json& value, const std::string& place);
// Reads `folder/config.json`; here `model_type` must be present.
ModelConfig read_model_config(const fs::path& folder);
// Every field, in the dialect of transformers >= 5 (`rope_parameters`), as `transformer_layer_config` needs it.
Json to_json(const ModelConfig& config);

}  // namespace speculators
