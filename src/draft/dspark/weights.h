// The tensors of a DSpark speculator: the block family's, the Markov head and the confidence head.
// Source: reference algorithms.md 3.4.
#pragma once

#include "draft/dspark/config.h"
#include "draft/weight_table.h"

namespace speculators {

WeightTable dspark_weights(const DSparkConfig& config);

}  // namespace speculators
