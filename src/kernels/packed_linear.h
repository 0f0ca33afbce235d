// y = x W^T with W in bf16 and fp32 arithmetic: the one matrix product of the inference side, from one row (decode) to
// thousands (prefill, capture).
//
// Layout: output rows are grouped in panels; inside a panel the weights of one input k lie together, so every output
// has its own SIMD lane and sums over k in ascending order with fused multiply-adds. Two things follow:
//   - no horizontal sums, so narrow models (hidden 576) stream as fast as wide ones;
//   - the bits of a row's result depend neither on how many rows are in the batch, nor on the instruction set, nor on
//     the number of threads. Speculative and plain decoding therefore see the same logits, bit for bit.
// Dims: M rows, K inputs, N outputs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bf16.h"
#include "kernels/aligned.h"

namespace speculators {

struct LinearKernels;

class PackedLinear {
 public:
  PackedLinear() = default;
  // `weight` is row-major [N, K] as checkpoints store it; it is copied into panels. `bias` is [N] or empty.
  PackedLinear(std::span<const Bf16> weight, int64_t num_outputs, int64_t num_inputs, std::span<const float> bias = {});

  int64_t num_inputs() const { return num_inputs_; }
  int64_t num_outputs() const { return num_outputs_; }
  int64_t weight_bytes() const;

  // x [M, K] -> y [M, N], both dense row-major fp32. Overwrites y. Runs on compute_pool().
  void forward(const float* x, int64_t num_rows, float* y) const;
  // The plain twin: same bits, no SIMD, no threads.
  void forward_plain(const float* x, int64_t num_rows, float* y) const;
  // One row of W as fp32 [K] (tied embeddings read their rows from here).
  void copy_row(int64_t output, float* row) const;

 private:
  int64_t num_inputs_ = 0, num_outputs_ = 0;
  const LinearKernels* kernels_ = nullptr;  // of the instruction set that the panels were laid out for
  WeightVector<Bf16> panels_;
  WeightVector<float> bias_;
};

// Stacks weights with the same inputs into one product (q, k, v; gate, up): one pass over x, one parallel region.
PackedLinear pack_together(std::span<const std::span<const Bf16>> weights, int64_t num_inputs);

}  // namespace speculators
