// The tensors that EAGLE-3 and P-EAGLE speculators share. Source: reference algorithms.md 3.4.
#pragma once

#include "draft/chain/config.h"
#include "draft/weight_table.h"

namespace speculators {

WeightTable chain_weight_table(const ChainConfig& config);

}  // namespace speculators
