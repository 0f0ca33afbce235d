// The operations of a decoder layer out of torch's own, with autograd: the readable twins that check the fused ones,
// and what runs on devices and types that the fused ones do not know. Dims: R rows, C keys, N heads, Nk key/value
// heads, H head dim, V vocabulary.
#pragma once

#include <torch/types.h>

#include <string>

#include "nn/loss_spec.h"

namespace speculators::nn {

// x / sqrt(mean(x^2) + eps) * weight over the last dimension, in fp32.
torch::Tensor rms_norm_plain(const torch::Tensor& x, const torch::Tensor& weight, double eps);
// x [R, heads, H] rotated in halves form; cosines and sines [R, H/2].
torch::Tensor rope_plain(const torch::Tensor& x, const torch::Tensor& cosines, const torch::Tensor& sines);
// q [R, N, H], k and v [C, Nk, H], visible bool [R, C] -> [R, N*H]. A row that sees no key gives zeros.
torch::Tensor attention_plain(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                              const torch::Tensor& visible);
// "silu", "gelu", "gelu_pytorch_tanh", "relu"; throws UsageError for another name.
torch::Tensor activation_plain(const std::string& name, const torch::Tensor& x);
// x [R, I] times weight [O, I] in `compute_dtype`, plus bias; result fp32.
torch::Tensor linear_plain(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                           torch::ScalarType compute_dtype);
// Element losses of logits [R, V] against target logits [R, V] (no gradient) -> [R]. fp32.
torch::Tensor element_loss_plain(LossKind kind, const torch::Tensor& logits, const torch::Tensor& target_logits);

}  // namespace speculators::nn
