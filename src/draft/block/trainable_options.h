// How drafts that fill blocks are trained: what the DFlash family's options share.
// Source: reference algorithms.md 7.6, 10, 19.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "nn/loss_spec.h"

namespace speculators {

enum class PositionWeight { kFixedExpDecay, kDPace };

struct BlockTrainingOptions {
  int64_t max_anchors = 512;
  PositionWeight position_weight = PositionWeight::kFixedExpDecay;
  double decay_gamma = 4.0;
  double dpace_alpha = 0.5;
  nn::LossSpec loss;
  torch::ScalarType compute_dtype = torch::kFloat32;  // of the matrix products; parameters stay fp32
  bool compat_upstream = false;                       // blocks run over the end of their document
  bool plain_ops = false;  // dense masks and torch operations only: the twin that checks the fused path
};

// Throws UsageError: D-PACE needs exactly the loss `ce`, and numbers must be in range.
void check_block_options(const BlockTrainingOptions& options);

}  // namespace speculators
