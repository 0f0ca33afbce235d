// The tensors of a DFlash2 speculator: the block family's, two convolutions per layer and the selector.
// Source: reference algorithms.md 3.4.
#pragma once

#include "draft/dflash2/config.h"
#include "draft/weight_table.h"

namespace speculators {

WeightTable dflash2_weights(const DFlash2Config& config);

}  // namespace speculators
