// The tensors of an MTP speculator: what the verifier's checkpoint calls mtp.* under other names.
// Source: reference algorithms.md 3.4.
#pragma once

#include "draft/mtp/config.h"
#include "draft/weight_table.h"

namespace speculators {

inline constexpr const char* kMtpLayer = "mtp_layers.0.";

WeightTable mtp_weights(const MtpConfig& config);

}  // namespace speculators
