#include "checkpoint/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "checkpoint/rope_config.h"

namespace speculators {
namespace {

// What transformers 5 takes for a key that config.json leaves out. Unset: computed from other fields, or null.
struct ClassDefaults {
  std::string_view model_type;
  std::optional<int64_t> vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads;
  std::optional<int64_t> num_key_value_heads, head_dim;
  int64_t max_position_embeddings;
  std::optional<int64_t> bos_token_id, eos_token_id;
};

constexpr ClassDefaults kClassDefaults[] = {
    {"llama", 32000, 4096, 11008, 32, 32, {}, {}, 2048, 1, 2},
    {"qwen3", 151936, 4096, 22016, 32, 32, 32, 128, 32768, {}, {}},
    {"qwen2", 151936, 4096, 22016, 32, 32, 32, {}, 32768, {}, {}},
};
constexpr ClassDefaults kNoDefaults = {"", {}, {}, {}, {}, {}, {}, {}, 2048, {}, {}};
constexpr int64_t kQwenSlidingWindow = 4096;
constexpr int64_t kQwenMaxWindowLayers = 28;
constexpr int64_t kMaxSize = int64_t{1} << 31;  // above any real model; keeps products of sizes within 64 bits

const ClassDefaults& defaults_of(std::string_view model_type) {
  for (const ClassDefaults& defaults : kClassDefaults) {
    if (defaults.model_type == model_type) return defaults;
  }
  return kNoDefaults;
}

bool is_qwen(std::string_view model_type) { return model_type == "qwen3" || model_type == "qwen2"; }

[[noreturn]] void fail(const JsonObject& object, std::string_view problem) {
  throw DataError(fmt::format("{}: {}", object.place(), problem));
}

int64_t check_size(const JsonObject& object, std::string_view key, int64_t value) {
  if (value < 1 || value > kMaxSize) fail(object, fmt::format("{}: expected 1 to {}, found {}", key, kMaxSize, value));
  return value;
}

int64_t get_size(const JsonObject& object, std::string_view key, const std::optional<int64_t>& otherwise) {
  return check_size(object, key, object.has(key) || !otherwise ? object.get_int(key) : *otherwise);
}

// Null and absent differ here: null asks for the computed value, absent for the class default.
std::optional<int64_t> find_or_default(const JsonObject& object, std::string_view key,
                                       const std::optional<int64_t>& otherwise) {
  return object.value().contains(std::string(key)) ? object.find_int(key) : otherwise;
}

std::vector<int64_t> parse_eos(const JsonObject& object, const std::optional<int64_t>& otherwise) {
  const auto found = object.value().find("eos_token_id");
  if (found != object.value().end() && found->is_array()) return object.get_ints("eos_token_id");
  const auto id = find_or_default(object, "eos_token_id", otherwise);
  return id ? std::vector<int64_t>{*id} : std::vector<int64_t>{};
}

void parse_sizes(const JsonObject& object, const ClassDefaults& defaults, ModelConfig& config) {
  config.vocab_size = get_size(object, "vocab_size", defaults.vocab_size);
  config.hidden_size = get_size(object, "hidden_size", defaults.hidden_size);
  config.intermediate_size = get_size(object, "intermediate_size", defaults.intermediate_size);
  config.num_hidden_layers = get_size(object, "num_hidden_layers", defaults.num_hidden_layers);
  config.num_attention_heads = get_size(object, "num_attention_heads", defaults.num_attention_heads);
  const int64_t num_heads = config.num_attention_heads;
  config.num_key_value_heads =
      check_size(object, "num_key_value_heads",
                 find_or_default(object, "num_key_value_heads", defaults.num_key_value_heads).value_or(num_heads));
  if (num_heads % config.num_key_value_heads != 0) {
    fail(object, fmt::format("num_attention_heads {} is not a multiple of num_key_value_heads {}", num_heads,
                             config.num_key_value_heads));
  }
  const auto head_dim = find_or_default(object, "head_dim", defaults.head_dim);
  if (!head_dim && config.hidden_size % num_heads != 0) {
    fail(object, fmt::format("hidden_size {} is not a multiple of num_attention_heads {}; give head_dim",
                             config.hidden_size, num_heads));
  }
  config.head_dim = check_size(object, "head_dim", head_dim.value_or(config.hidden_size / num_heads));
  if (config.head_dim % 2 != 0)
    fail(object, fmt::format("head_dim: expected an even number, found {}", config.head_dim));
  config.max_position_embeddings = get_size(object, "max_position_embeddings", defaults.max_position_embeddings);
}

void parse_windows(const JsonObject& object, ModelConfig& config) {
  const bool qwen = is_qwen(config.model_type);
  const bool uses_window = object.find_bool("use_sliding_window").value_or(!qwen);
  if (uses_window) {
    config.sliding_window =
        find_or_default(object, "sliding_window", qwen ? std::optional(kQwenSlidingWindow) : std::nullopt);
  }
  if (config.sliding_window) check_size(object, "sliding_window", *config.sliding_window);
  const int64_t num_layers = config.num_hidden_layers;
  if (const auto layer_types = object.find_strings("layer_types")) {
    config.layer_types = *layer_types;
    if (static_cast<int64_t>(layer_types->size()) != num_layers) {
      fail(object, fmt::format("layer_types: expected {} entries, found {}", num_layers, layer_types->size()));
    }
  } else if (qwen) {
    const int64_t first_sliding = object.find_int("max_window_layers").value_or(kQwenMaxWindowLayers);
    for (int64_t i = 0; i < num_layers; ++i) {
      const bool slides = config.sliding_window && i >= first_sliding;
      config.layer_types.push_back(slides ? "sliding_attention" : "full_attention");
    }
  }
}

double parse_eps(const JsonObject& object) {
  const double eps = object.find_double("rms_norm_eps").value_or(1e-6);
  if (!(eps > 0 && eps < 1)) fail(object, fmt::format("rms_norm_eps: expected above 0 and below 1, found {}", eps));
  return eps;
}

// A composite model keeps these outside of its `text_config`.
void parse_outer(const JsonObject& outer, ModelConfig& config) {
  if (config.architectures.empty())
    config.architectures = outer.find_strings("architectures").value_or(config.architectures);
  if (outer.has("tie_word_embeddings")) config.tie_word_embeddings = outer.get_bool("tie_word_embeddings");
  if (outer.has("bos_token_id")) config.bos_token_id = outer.get_int("bos_token_id");
  if (outer.has("pad_token_id")) config.pad_token_id = outer.get_int("pad_token_id");
  if (outer.has("eos_token_id")) config.eos_token_ids = parse_eos(outer, std::nullopt);
}

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json eos_to_json(const std::vector<int64_t>& ids) {
  if (ids.empty()) return nullptr;
  if (ids.size() == 1) return ids[0];
  return ids;
}

}  // namespace

ModelConfig parse_model_config(const Json& value, const std::string& place) {
  const JsonObject object(value, place);
  if (object.has("text_config")) {
    ModelConfig config = parse_model_config(object.get_object("text_config").value(), place + ": text_config");
    parse_outer(object, config);
    return config;
  }
  ModelConfig config;
  config.model_type = object.find_string("model_type").value_or("qwen3");
  const ClassDefaults& defaults = defaults_of(config.model_type);
  config.architectures = object.find_strings("architectures").value_or(std::vector<std::string>{});
  parse_sizes(object, defaults, config);
  parse_windows(object, config);
  config.rms_norm_eps = parse_eps(object);
  config.initializer_range = object.find_double("initializer_range").value_or(config.initializer_range);
  config.hidden_act =
      object.find_string(object.has("hidden_act") ? "hidden_act" : "hidden_activation").value_or("silu");
  config.attention_bias = object.find_bool("attention_bias").value_or(false);
  config.mlp_bias = object.find_bool("mlp_bias").value_or(false);
  config.tie_word_embeddings = object.find_bool("tie_word_embeddings").value_or(false);
  config.bos_token_id = find_or_default(object, "bos_token_id", defaults.bos_token_id);
  config.pad_token_id = object.find_int("pad_token_id");
  config.eos_token_ids = parse_eos(object, defaults.eos_token_id);
  config.rope = parse_rope(object, config.max_position_embeddings);
  return config;
}

ModelConfig read_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const Json value = read_json(path);
  JsonObject(value, path.string()).get_string("model_type");
  return parse_model_config(value, path.string());
}

Json to_json(const ModelConfig& config) {
  Json json = Json::object();
  if (!config.architectures.empty()) json["architectures"] = config.architectures;
  json["model_type"] = config.model_type;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = config.hidden_act;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["initializer_range"] = config.initializer_range;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["rope_parameters"] = rope_to_json(config.rope);
  json["attention_bias"] = config.attention_bias;
  json["attention_dropout"] = 0.0;
  json["mlp_bias"] = config.mlp_bias;
  if (!config.layer_types.empty()) json["layer_types"] = config.layer_types;
  json["use_sliding_window"] = config.sliding_window.has_value();
  json["sliding_window"] = or_null(config.sliding_window);
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  json["bos_token_id"] = or_null(config.bos_token_id);
  json["eos_token_id"] = eos_to_json(config.eos_token_ids);
  json["pad_token_id"] = or_null(config.pad_token_id);
  json["use_cache"] = true;
  return json;
}

}  // namespace speculators
