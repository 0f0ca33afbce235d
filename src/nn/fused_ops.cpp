#include "nn/fused_ops.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "nn/autograd_node.h"
#include "nn/kernels/row_kernels.h"
#include "nn/plain_ops.h"

namespace speculators::nn {
namespace {

using torch::autograd::variable_list;

bool is_fast(const torch::Tensor& x) { return x.is_cpu() && x.scalar_type() == torch::kFloat32; }
const float* data(const torch::Tensor& x) { return x.const_data_ptr<float>(); }
float* mutable_data(const torch::Tensor& x) { return x.mutable_data_ptr<float>(); }

struct RmsNormBackward : BackwardNode {
  torch::Tensor x, weight, rstd;
  variable_list backward(const torch::Tensor& upstream) override {
    auto dx = at::empty_like(x), dw = at::empty_like(weight);
    row_kernels().rms_norm_backward(data(upstream), data(x), data(weight), data(rstd), x.size(0), x.size(1),
                                    mutable_data(dx), mutable_data(dw));
    return {dx, dw};
  }
};

struct HeadsBackward : BackwardNode {
  torch::Tensor x, weight, rstd;
  RopeAngles angles;
  HeadRows rows;
  variable_list backward(const torch::Tensor& upstream) override {
    auto dx = at::empty(upstream.sizes(), upstream.options());
    auto dw = weight.defined() ? at::empty_like(weight) : torch::Tensor();
    row_kernels().head_rows_backward(rows, data(upstream), weight.defined() ? data(rstd) : nullptr, mutable_data(dx),
                                     weight.defined() ? mutable_data(dw) : nullptr);
    return {dx, dw};
  }
};

struct SiluMulBackward : BackwardNode {
  torch::Tensor gate_up;
  variable_list backward(const torch::Tensor& upstream) override {
    auto d_gate_up = at::empty_like(gate_up);
    row_kernels().silu_mul_backward(data(upstream), data(gate_up), gate_up.size(0), gate_up.size(1) / 2,
                                    mutable_data(d_gate_up));
    return {d_gate_up};
  }
};

struct GatherBackward : BackwardNode {
  torch::Tensor index;
  int64_t num_rows = 0;
  bool repeats = false;
  variable_list backward(const torch::Tensor& upstream) override {
    auto dx = at::zeros({num_rows, upstream.size(1)}, upstream.options());
    if (!repeats) return {dx.index_copy_(0, index, upstream)};
    if (!is_fast(upstream)) return {dx.index_add_(0, index, upstream)};
    row_kernels().add_rows(data(upstream), index.const_data_ptr<int64_t>(), upstream.size(0), upstream.size(1),
                           mutable_data(dx));
    return {dx};
  }
};

torch::Tensor take_rows(const torch::Tensor& x, const torch::Tensor& index, bool repeats) {
  auto y = x.detach().index_select(0, index);
  if (any_requires_grad({x})) {
    auto node = c10::make_intrusive<GatherBackward>();
    node->index = index;
    node->num_rows = x.size(0);
    node->repeats = repeats;
    attach_node(node, {x}, y);
  }
  return y;
}

}  // namespace

torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  if (!is_fast(x)) return rms_norm_plain(x, weight, eps);
  const auto dense = x.detach().contiguous();
  auto y = at::empty_like(dense), rstd = at::empty({dense.size(0)}, dense.options());
  row_kernels().rms_norm(data(dense), data(weight), dense.size(0), dense.size(1), static_cast<float>(eps),
                         mutable_data(y), mutable_data(rstd));
  if (any_requires_grad({x, weight})) {
    auto node = c10::make_intrusive<RmsNormBackward>();
    node->x = dense;
    node->weight = weight.detach();
    node->rstd = rstd;
    attach_node(node, {x, weight}, y);
  }
  return y;
}

torch::Tensor normalise(const torch::Tensor& x, double eps) {
  const at::NoGradGuard no_grad;
  if (!is_fast(x)) return rms_norm_plain(x, at::ones({x.size(-1)}, x.options().dtype(torch::kFloat32)), eps);
  const auto dense = x.contiguous();
  auto y = at::empty_like(dense);
  row_kernels().rms_norm(data(dense), nullptr, dense.size(0), dense.size(1), static_cast<float>(eps), mutable_data(y),
                         nullptr);
  return y;
}

torch::Tensor norm_and_rotate_heads(const torch::Tensor& x, const torch::Tensor& weight, double eps,
                                    const RopeAngles& angles) {
  const int64_t head_dim = 2 * angles.cosines.size(1);
  if (!is_fast(x)) {
    const auto heads = x.unflatten(1, {-1, head_dim});
    return rope_plain(weight.defined() ? rms_norm_plain(heads, weight, eps) : heads, angles.cosines, angles.sines)
        .flatten(1);
  }
  const auto source = x.stride(1) == 1 ? x.detach() : x.detach().contiguous();
  HeadRows rows{data(source), source.stride(0), source.size(0), source.size(1) / head_dim, head_dim};
  rows.weight = weight.defined() ? data(weight) : nullptr;
  rows.eps = static_cast<float>(eps);
  rows.cosines = data(angles.cosines);
  rows.sines = data(angles.sines);
  auto y = at::empty(source.sizes(), source.options().memory_format(at::MemoryFormat::Contiguous));
  auto rstd = at::empty({weight.defined() ? rows.num_rows * rows.num_heads : 0}, source.options());
  row_kernels().head_rows(rows, mutable_data(y), mutable_data(rstd));
  if (any_requires_grad({x, weight})) {
    auto node = c10::make_intrusive<HeadsBackward>();
    node->x = source;
    node->weight = weight.defined() ? weight.detach() : torch::Tensor();
    node->rstd = rstd;
    node->angles = angles;
    node->rows = rows;
    attach_node(node, {x, weight}, y);
  }
  return y;
}

torch::Tensor silu_mul(const torch::Tensor& gate_up) {
  const int64_t width = gate_up.size(1) / 2;
  if (!is_fast(gate_up)) {
    return activation_plain("silu", gate_up.narrow(1, 0, width)) * gate_up.narrow(1, width, width);
  }
  const auto dense = gate_up.detach().contiguous();
  auto y = at::empty({dense.size(0), width}, dense.options());
  row_kernels().silu_mul(data(dense), dense.size(0), width, mutable_data(y));
  if (any_requires_grad({gate_up})) {
    auto node = c10::make_intrusive<SiluMulBackward>();
    node->gate_up = dense;
    attach_node(node, {gate_up}, y);
  }
  return y;
}

torch::Tensor gather_rows(const torch::Tensor& x, const torch::Tensor& index) {
  return take_rows(x, index, /*repeats=*/false);
}
torch::Tensor repeat_rows(const torch::Tensor& x, const torch::Tensor& index) {
  return take_rows(x, index, /*repeats=*/true);
}

}  // namespace speculators::nn
