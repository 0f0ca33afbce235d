// P-EAGLE config: EAGLE-3's fields and the token of the slots to fill. Source: reference algorithms.md 2.5.
#pragma once

#include "draft/chain/config.h"

namespace speculators {

struct PEagleConfig : ChainConfig {
  int64_t mask_token_id = 0;
};

// Reads the fields out of a whole config.json (absent: see ChainConfig, the embedding trained) and validates;
// mask_token_id must be there. Throws DataError naming `place`.
PEagleConfig parse_peagle_config(const Json& config, const ModelConfig& layer, const std::string& place);
// The fields as they go into config.json.
Json to_json(const PEagleConfig& config);

}  // namespace speculators
