// XPress config: the block family's fields and those of the refiner. Source: reference algorithms.md 2.5, 8b.
// Dims: r rank of the refiner.
#pragma once

#include <string>

#include "draft/block/config.h"

namespace speculators {

struct XPressConfig : BlockConfig {
  XPressConfig() = default;
  explicit XPressConfig(BlockConfig block) : BlockConfig(std::move(block)) {}

  int64_t xpress_rank = 256;      // r
  int64_t xpress_mlp_ratio = 2;   // the refiner's MLP is this times r wide
  int64_t num_jacobi_passes = 6;  // of a greedy proposal

  int64_t mlp_width() const { return xpress_rank * xpress_mlp_ratio; }
};

// Throws DataError naming `place`.
XPressConfig parse_xpress_config(const Json& config, const ModelConfig& layer, const std::string& place);
Json to_json(const XPressConfig& config);

}  // namespace speculators
