// DFlash2 config: the block family's fields, those of the convolutions around every sub-layer and of the selector that
// chooses among the likeliest tokens of a slot. Full vocabulary only.
// Source: reference algorithms.md 2.5, 8a. Dims: C taps, S channels of a group, r selector rank, K candidates.
#pragma once

#include <string>

#include "draft/block/config.h"

namespace speculators {

struct DFlash2Config : BlockConfig {
  DFlash2Config() { sliding_window_non_causal = true; }
  explicit DFlash2Config(BlockConfig block) : BlockConfig(std::move(block)) {}

  int64_t conv_kernel_size = 2;  // C
  int64_t conv_group_size = 16;  // S
  int64_t selector_rank = 256;   // r
  int64_t selector_top_k = 16;   // K

  // Of one convolution: side, tap, group.
  int64_t num_coefficients() const { return 2 * conv_kernel_size * (layer.hidden_size / conv_group_size); }
};

DFlash2Config parse_dflash2_config(const Json& config, const ModelConfig& layer, const std::string& place);
Json to_json(const DFlash2Config& config);

}  // namespace speculators
