// A LinearGroup during one forward pass. Layers that run several times in it (TTT steps, two streams into the same keys
// and values) share one weight gradient: each use adds to it in its backward, the last one hands it on. Inputs may have
// fixed columns: normed rows that need no gradient (token embeddings, verifier features). Their product is computed
// once per distinct row, and neither it nor the norm's weight costs a product for the gradient of the input:
//   y = P[fixed_rows] + x W_x' (+ addend),  P = (fixed * norm) W_f' + bias,  W = [W_f ; W_x] column-wise;
//   with G = dP' fixed:  dW_f = G * norm,  dnorm = sum over outputs of W_f * G.
// Every use must reach the loss, or the shared gradient is never handed on.
// Dims: R rows, U distinct fixed rows, F fixed columns, I other inputs, O outputs of the group.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

#include "nn/linear_group.h"

namespace speculators::nn {

struct FixedColumns {
  torch::Tensor rows;                // [U, F], no gradient
  std::vector<torch::Tensor> norms;  // weights along F, one behind the other; empty: none
};

class LinearUse {
 public:
  LinearUse(const LinearGroup& group, torch::ScalarType compute_dtype);
  LinearUse(const LinearGroup& group, FixedColumns fixed, torch::ScalarType compute_dtype);

  // x [R, I] -> [R, O]; the addend [R, O] may be undefined.
  torch::Tensor apply(const torch::Tensor& x, const torch::Tensor& addend = {});
  // With fixed columns: int64 fixed_rows [R] (undefined: all of them in order), x [R, I] (undefined: F is all there
  // is).
  torch::Tensor apply_fixed(const torch::Tensor& fixed_rows, const torch::Tensor& x);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// a [m, k] times b' (b [n, k]) in `compute_dtype`, fp32 result; `out` [m, n] is overwritten.
void multiply_transposed(const torch::Tensor& a, const torch::Tensor& b, torch::ScalarType compute_dtype,
                         torch::Tensor& out);
// a [m, k] times b [k, n] into `out`; added when `accumulate`.
void multiply(const torch::Tensor& a, const torch::Tensor& b, torch::ScalarType compute_dtype, torch::Tensor& out,
              bool accumulate = false);

}  // namespace speculators::nn
