#include "draft/dspark/config.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr std::array<const char*, 3> kTypeNames = {"vanilla", "gated", "rnn"};  // in the order of MarkovHeadType

void check_heads(const DSparkConfig& config, const std::string& place) {
  if (config.markov_rank < 0) {
    throw DataError(fmt::format("{}: markov_rank: expected at least 0, found {}", place, config.markov_rank));
  }
  if (config.enable_confidence_head && config.confidence_head_with_markov && !config.has_markov_head()) {
    throw DataError(fmt::format(
        "{}: confidence_head_with_markov: expected false without a Markov head (markov_rank 0), found true", place));
  }
}

}  // namespace

std::optional<MarkovHeadType> find_markov_head_type(std::string_view name) {
  for (size_t i = 0; i < kTypeNames.size(); ++i) {
    if (name == kTypeNames[i]) return static_cast<MarkovHeadType>(i);
  }
  return std::nullopt;
}

DSparkConfig parse_dspark_config(const Json& config, const ModelConfig& layer, const std::string& place) {
  const JsonObject fields(config, place);
  DSparkConfig result(parse_block_config(config, layer, place, {.sample_from_anchor = true}));
  result.markov_rank = fields.find_int("markov_rank").value_or(256);
  const std::string type = fields.find_string("markov_head_type").value_or("vanilla");
  const auto known = find_markov_head_type(type);
  if (!known) {
    throw DataError(
        fmt::format("{}: markov_head_type: expected {}, found \"{}\"", place, fmt::join(kTypeNames, ", "), type));
  }
  result.markov_head_type = *known;
  result.enable_confidence_head = fields.find_bool("enable_confidence_head").value_or(true);
  result.confidence_head_with_markov = fields.find_bool("confidence_head_with_markov").value_or(true);
  check_heads(result, place);
  return result;
}

Json to_json(const DSparkConfig& config) {
  Json json = to_json(static_cast<const BlockConfig&>(config));
  json["sliding_window_non_causal"] = config.sliding_window_non_causal;  // vLLM goes by the layer types alone here
  json["markov_rank"] = config.markov_rank;
  json["markov_head_type"] = kTypeNames[static_cast<size_t>(config.markov_head_type)];
  json["enable_confidence_head"] = config.enable_confidence_head;
  json["confidence_head_with_markov"] = config.confidence_head_with_markov;
  return json;
}

}  // namespace speculators
