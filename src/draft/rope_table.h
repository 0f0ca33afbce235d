// Cosines and sines for a draft's positions, as many as were needed so far.
#pragma once

#include "checkpoint/rotary_frequencies.h"
#include "kernels/ops.h"

namespace speculators {

// Makes sure that positions [0, num_positions) are in the table; grows by doubling, so most calls do nothing.
// Angles in fp32, as torch.
void extend_rope_table(RopeTable& table, const RotaryFrequencies& frequencies, int64_t num_positions);

}  // namespace speculators
