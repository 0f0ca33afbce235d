#include "draft/dflash2/config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

void check_range(const char* key, int64_t value, int64_t largest, const char* why, const std::string& place) {
  if (value >= 1 && value <= largest) return;
  throw DataError(fmt::format("{}: {}: expected a number in [1, {}], {}, found {}", place, key, largest, why, value));
}

void check(const DFlash2Config& config, const std::string& place) {
  const int64_t hidden = config.layer.hidden_size;
  if (config.reduced_vocabulary()) {
    throw DataError(
        fmt::format("{}: draft_vocab_size: expected the verifier's {}, since dflash2 knows no reduced "
                    "vocabulary, found {}",
                    place, config.layer.vocab_size, config.draft_vocab_size));
  }
  check_range("conv_kernel_size", config.conv_kernel_size, config.block_size, "block_size", place);
  check_range("conv_group_size", config.conv_group_size, hidden, "hidden_size", place);
  if (hidden % config.conv_group_size != 0) {
    throw DataError(fmt::format("{}: conv_group_size: expected a divisor of hidden_size {}, found {}", place, hidden,
                                config.conv_group_size));
  }
  check_range("selector_top_k", config.selector_top_k, config.layer.vocab_size, "vocab_size", place);
  if (config.selector_rank < 1) {
    throw DataError(fmt::format("{}: selector_rank: expected at least 1, found {}", place, config.selector_rank));
  }
}

}  // namespace

DFlash2Config parse_dflash2_config(const Json& config, const ModelConfig& layer, const std::string& place) {
  const JsonObject fields(config, place);
  DFlash2Config result(parse_block_config(config, layer, place, {.sliding_window_non_causal = true}));
  result.conv_kernel_size = fields.find_int("conv_kernel_size").value_or(2);
  result.conv_group_size = fields.find_int("conv_group_size").value_or(16);
  result.selector_rank = fields.find_int("selector_rank").value_or(256);
  result.selector_top_k = fields.find_int("selector_top_k").value_or(16);
  check(result, place);
  return result;
}

Json to_json(const DFlash2Config& config) {
  Json json = to_json(static_cast<const BlockConfig&>(config));
  json["conv_kernel_size"] = config.conv_kernel_size;
  json["conv_group_size"] = config.conv_group_size;
  json["selector_rank"] = config.selector_rank;
  json["selector_top_k"] = config.selector_top_k;
  return json;
}

}  // namespace speculators
