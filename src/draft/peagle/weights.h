// The tensors of a P-EAGLE speculator. Source: reference algorithms.md 3.4.
#pragma once

#include "draft/peagle/config.h"
#include "draft/weight_table.h"

namespace speculators {

WeightTable peagle_weights(const PEagleConfig& config);

}  // namespace speculators
