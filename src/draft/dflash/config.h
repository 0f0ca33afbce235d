// DFlash config: the fields of config.json that are DFlash's own; all of them are the block family's.
// Source: reference algorithms.md 2.5.
#pragma once

#include <string>

#include "draft/block/config.h"

namespace speculators {

using DFlashConfig = BlockConfig;

DFlashConfig parse_dflash_config(const Json& config, const ModelConfig& layer, const std::string& place);

}  // namespace speculators
