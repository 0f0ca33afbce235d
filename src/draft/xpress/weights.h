// The tensors of an XPress speculator: the block family's and the refiner's. Source: reference algorithms.md 3.4.
#pragma once

#include "draft/weight_table.h"
#include "draft/xpress/config.h"

namespace speculators {

WeightTable xpress_weights(const XPressConfig& config);

}  // namespace speculators
