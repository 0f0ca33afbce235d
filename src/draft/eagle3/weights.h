// The tensors of an EAGLE-3 speculator. Source: reference algorithms.md 3.4.
#pragma once

#include "draft/eagle3/config.h"
#include "draft/weight_table.h"

namespace speculators {

// A; an absent list of aux layer ids means three.
int64_t num_aux_layers(const Eagle3Config& config);
WeightTable eagle3_weights(const Eagle3Config& config);

}  // namespace speculators
