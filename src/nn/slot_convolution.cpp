#include "nn/slot_convolution.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "nn/autograd_node.h"
#include "nn/kernels/row_kernels.h"

namespace speculators::nn {
namespace {

using torch::autograd::variable_list;

// What the kernels read; the tensors must outlive it.
ConvolutionRows rows_of(const torch::Tensor& x, const SlotConvolution& c) {
  ConvolutionRows rows;
  rows.x = x.const_data_ptr<float>();
  rows.base = c.base.const_data_ptr<float>();
  rows.change = c.change.const_data_ptr<float>();
  rows.change_stride = c.change.stride(0);
  rows.offsets = c.offsets.const_data_ptr<int64_t>();
  rows.num_rows = x.size(0);
  rows.width = x.size(1);
  rows.num_taps = c.base.size(0);
  rows.group_size = rows.width * rows.num_taps / c.change.size(1);
  return rows;
}

// Inputs: x, change, base, addend.
struct ConvolutionBackward : BackwardNode {
  torch::Tensor x;
  SlotConvolution convolution;
  bool has_addend = false;

  variable_list backward(const torch::Tensor& upstream) override {
    auto dx = at::empty_like(x), d_base = at::empty_like(convolution.base);
    auto d_change = at::empty(convolution.change.sizes(), x.options());
    row_kernels().convolve_backward(rows_of(x, convolution), upstream.const_data_ptr<float>(),
                                    dx.mutable_data_ptr<float>(), d_change.mutable_data_ptr<float>(),
                                    d_base.mutable_data_ptr<float>());
    return {dx, d_change, d_base, has_addend ? upstream : torch::Tensor()};
  }
};

void check(const torch::Tensor& x, const SlotConvolution& c) {
  const int64_t num_rows = x.size(0), coefficients = c.base.size(0) * c.base.size(1);
  const bool fits = c.base.size(1) == x.size(1) && c.change.size(0) == num_rows && c.offsets.size(0) == num_rows &&
                    c.change.size(1) % c.base.size(0) == 0 && coefficients % c.change.size(1) == 0;
  if (fits) return;
  throw ShapeError(fmt::format(
      "convolve_slots: {} rows of {}: expected as many rows of coefficients and offsets, "
      "found {} rows of {}, {} offsets and base [{}, {}]",
      num_rows, x.size(1), c.change.size(0), c.change.size(1), c.offsets.size(0), c.base.size(0), c.base.size(1)));
}

}  // namespace

torch::Tensor convolve_slots(const torch::Tensor& x, const SlotConvolution& convolution, const torch::Tensor& addend) {
  check(x, convolution);
  if (!x.is_cpu() || x.scalar_type() != torch::kFloat32) {
    const auto y = convolve_slots_plain(x, convolution);
    return addend.defined() ? addend + y : y;
  }
  const auto source = x.detach().contiguous();
  const auto change = convolution.change.detach();
  const SlotConvolution detached{change.stride(1) == 1 ? change : change.contiguous(),
                                 convolution.base.detach().contiguous(), convolution.offsets};
  auto y = at::empty_like(source);
  const auto added = addend.defined() ? addend.detach().contiguous() : torch::Tensor();
  row_kernels().convolve(rows_of(source, detached), added.defined() ? added.const_data_ptr<float>() : nullptr,
                         y.mutable_data_ptr<float>());
  if (any_requires_grad({x, convolution.change, convolution.base, addend})) {
    auto node = c10::make_intrusive<ConvolutionBackward>();
    node->x = source;
    node->convolution = detached;
    node->has_addend = addend.defined() && addend.requires_grad();
    attach_node(node, {x, convolution.change, convolution.base, addend}, y);
  }
  return y;
}

torch::Tensor convolve_slots_plain(const torch::Tensor& x, const SlotConvolution& convolution) {
  check(x, convolution);
  const int64_t num_rows = x.size(0), width = x.size(1), num_taps = convolution.base.size(0);
  const int64_t group_size = width * num_taps / convolution.change.size(1);
  const auto changes = convolution.change.unflatten(1, {num_taps, -1});  // [R, C, D/S]
  auto y = at::zeros_like(x);
  for (int64_t tap = 0; tap < std::min(num_taps, num_rows); ++tap) {
    const auto before = x.narrow(0, 0, num_rows - tap);  // row i - tap for row i
    const auto shifted = tap == 0 ? x : at::cat({at::zeros_like(x.narrow(0, 0, tap)), before});
    const auto coefficients =
        convolution.base.select(0, tap).to(x.scalar_type()) + changes.select(1, tap).repeat_interleave(group_size, 1);
    y = y + shifted * coefficients * convolution.offsets.ge(tap).unsqueeze(1);
  }
  return y;
}

}  // namespace speculators::nn
