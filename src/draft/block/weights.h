// The tensors that every speculator of the DFlash family has: neither the embedding nor, at full vocabulary, the head
// is saved. Source: reference algorithms.md 3.1, 3.4.
#pragma once

#include "draft/block/config.h"
#include "draft/weight_table.h"

namespace speculators {

WeightTable block_weight_table(const BlockConfig& config);

}  // namespace speculators
