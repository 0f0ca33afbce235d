// A causal convolution over the slots of blocks whose coefficients change from slot to slot: a base kernel per channel
// plus a change per slot and group of channels. Differentiable in everything but the offsets.
// Source: reference algorithms.md 8a.2. Dims: R rows (slots), D width, C taps, S channels of a group.
#pragma once

#include <torch/types.h>

namespace speculators::nn {

struct SlotConvolution {
  torch::Tensor change;   // [R, C * D/S]; a column range of wider rows is fine
  torch::Tensor base;     // [C, D]
  torch::Tensor offsets;  // int64 [R] on x's device, of each row in its block; no gradient
};

// y[i, c] = sum over taps t <= min(C - 1, offsets[i]) of x[i - t, c] * (base[t, c] + change[i, t, c / S]), plus the
// addend [R, D] if there is one. Blocks lie one behind the other, each from its first slot on. x [R, D] -> [R, D].
// One pass forward and one backward on a CPU in fp32; else the plain twin.
torch::Tensor convolve_slots(const torch::Tensor& x, const SlotConvolution& convolution,
                             const torch::Tensor& addend = {});
torch::Tensor convolve_slots_plain(const torch::Tensor& x, const SlotConvolution& convolution);

}  // namespace speculators::nn
