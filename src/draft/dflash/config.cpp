#include "draft/dflash/config.h"

#include <nlohmann/json.hpp>

namespace speculators {

DFlashConfig parse_dflash_config(const Json& config, const ModelConfig& layer, const std::string& place) {
  return parse_block_config(config, layer, place, {.sample_from_anchor = false});
}

}  // namespace speculators
