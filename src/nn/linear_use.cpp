#include "nn/linear_use.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "nn/autograd_node.h"
#include "nn/kernels/row_kernels.h"

namespace speculators::nn {

using torch::autograd::variable_list;

void multiply(const torch::Tensor& a, const torch::Tensor& b, torch::ScalarType compute_dtype, torch::Tensor& out,
              bool accumulate) {
  if (compute_dtype == torch::kFloat32) {
    if (accumulate) {
      out.addmm_(a, b);
    } else {
      at::mm_out(out, a, b);
    }
    return;
  }
  const auto product = at::mm(a.to(compute_dtype), b.to(compute_dtype));
  if (accumulate) {
    out.add_(product);
  } else {
    out.copy_(product);
  }
}

void multiply_transposed(const torch::Tensor& a, const torch::Tensor& b, torch::ScalarType compute_dtype,
                         torch::Tensor& out) {
  multiply(a, b.t(), compute_dtype, out);
}

struct LinearUse::State {
  const LinearGroup& group;
  FixedColumns fixed;
  torch::ScalarType compute_dtype;
  torch::Tensor norm;       // fixed.norms as one vector
  torch::Tensor projected;  // P [U, O], bias included
  // Backward: what the uses so far have added.
  torch::Tensor d_weight, d_bias, d_projected;
  bool has_d_inputs = false;  // the columns of x in d_weight are filled
  int64_t num_open = 0;       // uses whose backward is still to come

  State(const LinearGroup& g, FixedColumns f, torch::ScalarType dtype)
      : group(g), fixed(std::move(f)), compute_dtype(dtype) {}
  int64_t num_fixed() const { return fixed.rows.defined() ? fixed.rows.size(1) : 0; }
  torch::Tensor fixed_weight() const { return group.all_weights().narrow(1, 0, num_fixed()); }
  torch::Tensor input_weight() const {
    return group.all_weights().narrow(1, num_fixed(), group.all_weights().size(1) - num_fixed());
  }
  // The leaves whose gradients the last use hands on.
  void append_leaves(variable_list& inputs) const {
    for (size_t part = 0; part < group.num_parts(); ++part) inputs.push_back(group.weight(part));
    for (size_t part = 0; part < group.num_parts(); ++part) inputs.push_back(group.bias(part));
    for (const auto& leaf : fixed.norms) inputs.push_back(leaf);
  }
  void project_fixed();
  void start_backward();
  void finish_fixed(torch::Tensor& d_norm);
  void append_gradients(variable_list& gradients);
};

void LinearUse::State::project_fixed() {
  const at::NoGradGuard no_grad;
  if (!fixed.norms.empty()) norm = at::cat(at::TensorList(fixed.norms)).detach();
  const auto weight = norm.defined() ? fixed_weight() * norm : fixed_weight();
  projected = at::empty({fixed.rows.size(0), group.num_outputs()}, fixed.rows.options());
  multiply_transposed(fixed.rows, weight, compute_dtype, projected);
  if (group.has_bias()) projected.add_(group.all_biases());
}

void LinearUse::State::start_backward() {
  if (d_weight.defined()) return;
  d_weight = at::empty(group.all_weights().sizes(), group.all_weights().options());
  if (group.has_bias() && !projected.defined()) d_bias = at::zeros({group.num_outputs()}, d_weight.options());
  if (projected.defined()) d_projected = at::zeros(projected.sizes(), projected.options());
}

void LinearUse::State::finish_fixed(torch::Tensor& d_norm) {
  auto d_fixed = d_weight.narrow(1, 0, num_fixed());
  multiply(d_projected.t(), fixed.rows, compute_dtype, d_fixed);
  if (group.has_bias()) d_bias = d_projected.sum(0);
  if (!norm.defined()) return;
  d_norm = (fixed_weight() * d_fixed).sum(0);
  d_fixed.mul_(norm);
}

void LinearUse::State::append_gradients(variable_list& gradients) {
  torch::Tensor d_norm;
  if (projected.defined()) finish_fixed(d_norm);
  int64_t offset = 0;
  for (size_t part = 0; part < group.num_parts(); ++part) {
    gradients.push_back(d_weight.narrow(0, offset, group.weight(part).size(0)));
    offset += group.weight(part).size(0);
  }
  offset = 0;
  for (size_t part = 0; part < group.num_parts(); ++part) {
    gradients.push_back(group.has_bias() ? d_bias.narrow(0, offset, group.weight(part).size(0)) : torch::Tensor());
    offset += group.weight(part).size(0);
  }
  offset = 0;
  for (const auto& leaf : fixed.norms) {
    gradients.push_back(d_norm.narrow(0, offset, leaf.size(0)));
    offset += leaf.size(0);
  }
}

namespace {

// Inputs: x, addend, then the leaves.
struct LinearBackward : BackwardNode {
  std::shared_ptr<LinearUse::State> state;
  torch::Tensor x, fixed_rows;
  bool wants_dx = false, has_addend = false;

  void add_to_projected(const torch::Tensor& upstream) {
    if (!fixed_rows.defined()) {
      state->d_projected.add_(upstream);
    } else if (upstream.is_cpu() && upstream.scalar_type() == torch::kFloat32) {
      row_kernels().add_rows(upstream.const_data_ptr<float>(), fixed_rows.const_data_ptr<int64_t>(), upstream.size(0),
                             upstream.size(1), state->d_projected.mutable_data_ptr<float>());
    } else {
      state->d_projected.index_add_(0, fixed_rows, upstream);
    }
  }

  variable_list backward(const torch::Tensor& upstream) override {
    LinearUse::State& s = *state;
    s.start_backward();
    torch::Tensor dx;
    if (x.defined()) {
      auto d_inputs = s.d_weight.narrow(1, s.num_fixed(), x.size(1));
      multiply(upstream.t(), x, s.compute_dtype, d_inputs, s.has_d_inputs);
      s.has_d_inputs = true;
      if (wants_dx) {
        dx = at::empty(x.sizes(), upstream.options());
        multiply(upstream, s.input_weight(), s.compute_dtype, dx);
      }
    }
    if (s.d_projected.defined()) {
      add_to_projected(upstream);
    } else if (s.d_bias.defined()) {
      s.d_bias.add_(upstream.sum(0));
    }
    variable_list gradients = {dx, has_addend ? upstream : torch::Tensor()};
    if (--s.num_open == 0) s.append_gradients(gradients);
    gradients.resize(num_outputs());
    state.reset();
    return gradients;
  }
};

torch::Tensor attach(const std::shared_ptr<LinearUse::State>& state, const torch::Tensor& x,
                     const torch::Tensor& addend, const torch::Tensor& fixed_rows, torch::Tensor y) {
  variable_list inputs = {x, addend};
  state->append_leaves(inputs);
  if (!any_requires_grad(inputs)) return y;
  auto node = c10::make_intrusive<LinearBackward>();
  node->state = state;
  node->x = x.defined() ? x.detach() : torch::Tensor();
  node->fixed_rows = fixed_rows;
  node->wants_dx = x.defined() && x.requires_grad();
  node->has_addend = addend.defined() && addend.requires_grad();
  ++state->num_open;
  attach_node(node, inputs, y);
  return y;
}

}  // namespace

LinearUse::LinearUse(const LinearGroup& group, torch::ScalarType compute_dtype)
    : state_(std::make_shared<State>(group, FixedColumns{}, compute_dtype)) {}

LinearUse::LinearUse(const LinearGroup& group, FixedColumns fixed, torch::ScalarType compute_dtype)
    : state_(std::make_shared<State>(group, std::move(fixed), compute_dtype)) {
  if (state_->fixed.rows.defined()) state_->project_fixed();
}

torch::Tensor LinearUse::apply(const torch::Tensor& x, const torch::Tensor& addend) {
  torch::Tensor y;
  {
    const at::NoGradGuard no_grad;
    if (addend.defined()) {
      y = addend.detach().clone();
      multiply(x.detach(), state_->group.all_weights().t(), state_->compute_dtype, y, /*accumulate=*/true);
    } else {
      y = at::empty({x.size(0), state_->group.num_outputs()}, x.options());
      multiply_transposed(x.detach(), state_->group.all_weights(), state_->compute_dtype, y);
    }
    if (state_->group.has_bias()) y.add_(state_->group.all_biases());
  }
  return attach(state_, x, addend, {}, y);
}

torch::Tensor LinearUse::apply_fixed(const torch::Tensor& fixed_rows, const torch::Tensor& x) {
  torch::Tensor y;
  {
    const at::NoGradGuard no_grad;
    y = fixed_rows.defined() ? state_->projected.index_select(0, fixed_rows) : state_->projected.clone();
    if (x.defined()) multiply(x.detach(), state_->input_weight().t(), state_->compute_dtype, y, /*accumulate=*/true);
  }
  return attach(state_, x, {}, fixed_rows, y);
}

}  // namespace speculators::nn
