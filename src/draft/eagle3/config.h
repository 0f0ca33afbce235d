// EAGLE-3 config: the fields of config.json that are EAGLE-3's own. Source: reference algorithms.md 2.5.
#pragma once

#include "draft/chain/config.h"

namespace speculators {

struct Eagle3Config : ChainConfig {};

// Reads the fields out of a whole config.json (absent: see ChainConfig) and validates. Throws DataError naming `place`.
Eagle3Config parse_eagle3_config(const Json& config, const ModelConfig& layer, const std::string& place);
// The fields as they go into config.json.
Json to_json(const Eagle3Config& config);

}  // namespace speculators
