#include "draft/block/trainable_convolutions.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/split.h>
#include <ATen/ops/zeros.h>

#include "nn/fused_ops.h"
#include "nn/linear_use.h"
#include "nn/plain_ops.h"
#include "nn/slot_convolution.h"

namespace speculators {
namespace {

SublayerConvolution make_convolution(int64_t hidden_size, int64_t num_taps, int64_t group_size) {
  const at::NoGradGuard no_grad;
  SublayerConvolution result;
  result.base_kernel = at::zeros({2, num_taps, hidden_size}, torch::kFloat32);
  result.base_kernel.select(1, 0).fill_(1.0);
  result.base_kernel.requires_grad_(true);
  at::Generator unused = at::detail::createCPUGenerator(0);
  result.projection =
      nn::LinearGroup(hidden_size, {2 * num_taps * hidden_size / group_size}, /*has_bias=*/false, unused);
  result.projection.weight(0).zero_();
  return result;
}

}  // namespace

LayerConvolutions make_layer_convolutions(int64_t hidden_size, int64_t num_taps, int64_t group_size) {
  return {make_convolution(hidden_size, num_taps, group_size), make_convolution(hidden_size, num_taps, group_size)};
}

void visit_parameters(LayerConvolutions& convolutions, const std::string& prefix, const nn::ParameterVisitor& visit) {
  visit(prefix + "attention_conv.base_kernel", convolutions.attention.base_kernel);
  visit(prefix + "attention_conv.kernel_projection.weight", convolutions.attention.projection.weight(0));
  visit(prefix + "mlp_conv.base_kernel", convolutions.mlp.base_kernel);
  visit(prefix + "mlp_conv.kernel_projection.weight", convolutions.mlp.projection.weight(0));
}

ConvolutionUse::ConvolutionUse(const SublayerConvolution& convolution, const torch::Tensor& normed,
                               torch::ScalarType compute_dtype, bool plain_ops)
    : base_kernel_(convolution.base_kernel), plain_ops_(plain_ops) {
  const auto coefficients = plain_ops ? nn::linear_plain(normed, convolution.projection.weight(0), {}, compute_dtype)
                                      : nn::LinearUse(convolution.projection, compute_dtype).apply(normed);
  const auto sides = coefficients.split(coefficients.size(1) / 2, 1);
  changes_[0] = sides[0];
  changes_[1] = sides[1];
}

void ConvolutionUse::take_input_rows(const torch::Tensor& index) { changes_[0] = nn::repeat_rows(changes_[0], index); }
void ConvolutionUse::take_output_rows(const torch::Tensor& index) { changes_[1] = nn::repeat_rows(changes_[1], index); }

torch::Tensor ConvolutionUse::enter(const torch::Tensor& x, const torch::Tensor& offsets) const {
  return convolve(0, x, offsets, {});
}

torch::Tensor ConvolutionUse::leave(const torch::Tensor& y, const torch::Tensor& offsets,
                                    const torch::Tensor& residual) const {
  return convolve(1, y, offsets, residual);
}

torch::Tensor ConvolutionUse::convolve(int64_t side, const torch::Tensor& x, const torch::Tensor& offsets,
                                       const torch::Tensor& addend) const {
  const nn::SlotConvolution convolution{changes_[side], base_kernel_.select(0, side), offsets};
  if (!plain_ops_) return nn::convolve_slots(x, convolution, addend);
  const auto y = nn::convolve_slots_plain(x, convolution);
  return addend.defined() ? addend + y : y;
}

}  // namespace speculators
