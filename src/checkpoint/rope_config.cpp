#include "checkpoint/rope_config.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

// `su` and `mrope` are older names; with text alone mrope is plain RoPE.
std::string canonical_type(const std::string& name) {
  if (name == "su") return "longrope";
  if (name == "mrope") return "default";
  return name;
}

std::vector<double> find_doubles(const JsonObject& object, std::string_view key) {
  std::vector<double> values;
  if (!object.has(key)) return values;
  const Json& list = object.value().at(std::string(key));
  const auto fail = [&] { throw DataError(fmt::format("{}: {}: expected a list of numbers", object.place(), key)); };
  if (!list.is_array()) fail();
  for (const Json& item : list) {
    if (!item.is_number()) fail();
    values.push_back(item.get<double>());
  }
  return values;
}

// The object with the RoPE numbers, if there is one. `rope_scaling` wins over `rope_parameters`, as in transformers.
std::optional<JsonObject> find_parameters(const JsonObject& config) {
  auto parameters = config.find_object("rope_scaling");
  if (!parameters) parameters = config.find_object("rope_parameters");
  if (!parameters) return std::nullopt;
  for (const char* layer_type : {"sliding_attention", "full_attention"}) {
    if (!parameters->has("rope_theta") && parameters->has(layer_type)) return parameters->get_object(layer_type);
  }
  return parameters;
}

[[noreturn]] void fail(const std::string& place, const RopeParameters& rope, std::string_view problem) {
  throw DataError(fmt::format("{}: rope_type {}: {}", place, rope.rope_type, problem));
}

void check_positive(const std::optional<double>& value, std::string_view key, const RopeParameters& rope,
                    const std::string& place) {
  if (value && !(*value > 0 && std::isfinite(*value)))
    fail(place, rope, fmt::format("{} must be > 0, found {}", key, *value));
}

void check_rope(const RopeParameters& rope, const std::string& place) {
  check_positive(rope.rope_theta, "rope_theta", rope, place);
  check_positive(rope.factor, "factor", rope, place);
  check_positive(rope.low_freq_factor, "low_freq_factor", rope, place);
  check_positive(rope.high_freq_factor, "high_freq_factor", rope, place);
  check_positive(rope.attention_factor, "attention_factor", rope, place);
  check_positive(rope.partial_rotary_factor, "partial_rotary_factor", rope, place);
  if (rope.original_max_position_embeddings.value_or(1) < 1) {
    fail(place, rope, "original_max_position_embeddings must be >= 1");
  }
  const std::string& type = rope.rope_type;
  if (type == "default") return;
  if (type == "linear" || type == "dynamic" || type == "yarn") {
    if (!rope.factor) fail(place, rope, "factor is missing");
  } else if (type == "llama3") {
    if (!rope.factor || !rope.low_freq_factor || !rope.high_freq_factor) {
      fail(place, rope, "factor, low_freq_factor and high_freq_factor must all be given");
    }
    if (*rope.high_freq_factor <= *rope.low_freq_factor)
      fail(place, rope, "high_freq_factor must be above low_freq_factor");
  } else if (type == "longrope") {
    if (rope.short_factor.empty() || rope.short_factor.size() != rope.long_factor.size()) {
      fail(place, rope, "short_factor and long_factor must be lists of one length");
    }
  } else {
    fail(place, rope, "expected default, linear, dynamic, yarn, longrope or llama3");
  }
}

template <class Value>
void put(Json& json, const char* key, const std::optional<Value>& value) {
  if (value) json[key] = *value;
}

}  // namespace

RopeParameters parse_rope(const JsonObject& config, int64_t max_position_embeddings) {
  RopeParameters rope;
  rope.rope_theta = config.find_double("rope_theta").value_or(rope.rope_theta);
  rope.partial_rotary_factor = config.find_double("partial_rotary_factor");
  rope.original_max_position_embeddings = config.find_int("original_max_position_embeddings");
  const auto parameters = find_parameters(config);
  if (!parameters) {
    check_rope(rope, config.place());
    return rope;
  }
  const JsonObject& given = *parameters;
  rope.rope_type = canonical_type(given.has("rope_type") ? given.get_string("rope_type")
                                                         : given.find_string("type").value_or("default"));
  rope.rope_theta = given.find_double("rope_theta").value_or(rope.rope_theta);
  rope.factor = given.find_double("factor");
  rope.low_freq_factor = given.find_double("low_freq_factor");
  rope.high_freq_factor = given.find_double("high_freq_factor");
  rope.attention_factor = given.find_double("attention_factor");
  rope.beta_fast = given.find_double("beta_fast");
  rope.beta_slow = given.find_double("beta_slow");
  rope.mscale = given.find_double("mscale");
  rope.mscale_all_dim = given.find_double("mscale_all_dim");
  rope.truncate = given.find_bool("truncate");
  rope.short_factor = find_doubles(given, "short_factor");
  rope.long_factor = find_doubles(given, "long_factor");
  if (given.has("partial_rotary_factor")) rope.partial_rotary_factor = given.get_double("partial_rotary_factor");
  if (!rope.original_max_position_embeddings) {
    rope.original_max_position_embeddings = given.find_int("original_max_position_embeddings");
  }
  const bool needs_original = rope.rope_type == "llama3" || rope.rope_type == "yarn" || rope.rope_type == "longrope";
  if (needs_original && !rope.original_max_position_embeddings) {
    rope.original_max_position_embeddings = max_position_embeddings;
  }
  check_rope(rope, given.place());
  return rope;
}

Json rope_to_json(const RopeParameters& rope) {
  Json json = {{"rope_type", rope.rope_type}, {"rope_theta", rope.rope_theta}};
  put(json, "factor", rope.factor);
  put(json, "low_freq_factor", rope.low_freq_factor);
  put(json, "high_freq_factor", rope.high_freq_factor);
  put(json, "original_max_position_embeddings", rope.original_max_position_embeddings);
  put(json, "attention_factor", rope.attention_factor);
  put(json, "beta_fast", rope.beta_fast);
  put(json, "beta_slow", rope.beta_slow);
  put(json, "mscale", rope.mscale);
  put(json, "mscale_all_dim", rope.mscale_all_dim);
  put(json, "truncate", rope.truncate);
  put(json, "partial_rotary_factor", rope.partial_rotary_factor);
  if (!rope.short_factor.empty()) json["short_factor"] = rope.short_factor;
  if (!rope.long_factor.empty()) json["long_factor"] = rope.long_factor;
  return json;
}

}  // namespace speculators
