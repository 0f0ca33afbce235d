#include "draft/xpress/config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

void check_at_least(int64_t least, const char* key, int64_t value, const std::string& place) {
  if (value < least) throw DataError(fmt::format("{}: {}: expected at least {}, found {}", place, key, least, value));
}

}  // namespace

XPressConfig parse_xpress_config(const Json& config, const ModelConfig& layer, const std::string& place) {
  const JsonObject fields(config, place);
  XPressConfig result(parse_block_config(config, layer, place, {}));
  result.xpress_rank = fields.find_int("xpress_rank").value_or(result.xpress_rank);
  result.xpress_mlp_ratio = fields.find_int("xpress_mlp_ratio").value_or(result.xpress_mlp_ratio);
  result.num_jacobi_passes = fields.find_int("num_jacobi_passes").value_or(result.num_jacobi_passes);
  check_at_least(1, "xpress_rank", result.xpress_rank, place);
  check_at_least(1, "xpress_mlp_ratio", result.xpress_mlp_ratio, place);
  check_at_least(0, "num_jacobi_passes", result.num_jacobi_passes, place);
  return result;
}

Json to_json(const XPressConfig& config) {
  Json json = to_json(static_cast<const BlockConfig&>(config));
  json["sliding_window_non_causal"] = config.sliding_window_non_causal;  // as upstream: no vLLM reads this type yet
  json["xpress_rank"] = config.xpress_rank;
  json["xpress_mlp_ratio"] = config.xpress_mlp_ratio;
  json["num_jacobi_passes"] = config.num_jacobi_passes;
  return json;
}

}  // namespace speculators
