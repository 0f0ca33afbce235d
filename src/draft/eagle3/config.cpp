#include "draft/eagle3/config.h"

#include <nlohmann/json.hpp>

namespace speculators {

Eagle3Config parse_eagle3_config(const Json& config, const ModelConfig& layer, const std::string& place) {
  return {parse_chain_config(config, layer, /*default_embed_requires_grad=*/false, place)};
}

Json to_json(const Eagle3Config& config) { return chain_fields(config); }

}  // namespace speculators
