// The tensors of a DFlash speculator: neither the embedding nor, at full vocabulary, the head is saved.
// Source: reference algorithms.md 3.1, 3.4.
#pragma once

#include "draft/dflash/config.h"
#include "draft/weight_table.h"

namespace speculators {

WeightTable dflash_weights(const DFlashConfig& config);

}  // namespace speculators
