// A causal convolution over the slots of blocks in serving form: the input and the output of one sub-layer, with
// coefficients that change from slot to slot. Source: reference algorithms.md 8a.2.
// Dims: M rows (slots), D hidden size, C taps, S channels of a group. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "kernels/packed_linear.h"

namespace speculators {

class SlotConvolution {
 public:
  // Reads `prefix` + "base_kernel" and "kernel_projection.weight" of tensors that were checked.
  SlotConvolution(const TensorFile& file, const std::string& prefix);

  // Of one row: side, tap, group.
  int64_t num_changes() const { return projection_.num_outputs(); }
  // What the sub-layer's normed input does to the coefficients. normed [M, D] -> changes [M, num_changes()]
  void project(const float* normed, int64_t num_rows, float* changes) const {
    projection_.forward(normed, num_rows, changes);
  }
  // `offsets` [M]: rows of the same block before each row, which lie right before it.
  // y [M, D] = the convolved input x.
  void enter(std::span<const int64_t> offsets, const float* x, const float* changes, float* y) const;
  // residual [M, D] += the convolved output x.
  void leave(std::span<const int64_t> offsets, const float* x, const float* changes, float* residual) const;

 private:
  void add(int64_t side, std::span<const int64_t> offsets, const float* x, const float* changes, float* y) const;

  int64_t num_taps_, width_, group_size_;
  std::vector<float> base_kernel_;  // [2, C, D]
  PackedLinear projection_;
};

}  // namespace speculators
