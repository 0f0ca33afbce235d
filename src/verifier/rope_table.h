// Fills kernels' RopeTable for as many positions as were needed so far.
#pragma once

#include <cstdint>

#include "checkpoint/rotary_frequencies.h"
#include "kernels/ops.h"

namespace speculators {

// Makes the table cover positions [0, num_positions), by doubling, up to `max_positions`. Angles in fp32, as
// transformers.
void grow_rope_table(RopeTable& table, const RotaryFrequencies& frequencies, int64_t num_positions,
                     int64_t max_positions);

}  // namespace speculators
