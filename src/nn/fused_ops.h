// The operations around the matrix products of a decoder layer, each one pass forward and one backward on a CPU in
// fp32. Inputs on another device or of another type go through the plain twins. All are differentiable. Dims: R rows, D
// width, N heads, H head dim.
#pragma once

#include <torch/types.h>

#include "nn/rope.h"

namespace speculators::nn {

// x [R, D] / sqrt(mean(x^2) + eps) * weight [D].
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);
// The same without weight and without gradient.
torch::Tensor normalise(const torch::Tensor& x, double eps);
// Columns of a projection as heads: x [R, N*H] (a column range of wider rows is fine), each head normed over H when
// there is a weight [H], then rotated. -> [R, N*H]
torch::Tensor norm_and_rotate_heads(const torch::Tensor& x, const torch::Tensor& weight, double eps,
                                    const RopeAngles& angles);
// silu(gate) * up; gate_up [R, 2D] -> [R, D].
torch::Tensor silu_mul(const torch::Tensor& gate_up);
// Rows index[0], index[1], ... of x [R, D]; int64 on the host. gather_rows: no row twice. repeat_rows: as often as you
// like.
torch::Tensor gather_rows(const torch::Tensor& x, const torch::Tensor& index);
torch::Tensor repeat_rows(const torch::Tensor& x, const torch::Tensor& index);

}  // namespace speculators::nn
