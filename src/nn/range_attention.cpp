#include "nn/range_attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "nn/autograd_node.h"

namespace speculators::nn {
namespace {

using torch::autograd::variable_list;

torch::Tensor row_major(const torch::Tensor& x) {
  const auto detached = x.detach();
  return detached.stride(1) == 1 ? detached : detached.contiguous();
}

struct Inputs {
  torch::Tensor q, base_keys, base_values, own_keys, own_values;
  AttentionShape shape;
  std::shared_ptr<const RangeAttentionPlan> plan;

  AttentionRows rows() const {
    AttentionRows r;
    r.shape = shape;
    r.q = q.const_data_ptr<float>();
    r.base_keys = base_keys.const_data_ptr<float>();
    r.base_values = base_values.const_data_ptr<float>();
    r.base_key_stride = base_keys.stride(0);
    r.base_value_stride = base_values.stride(0);
    if (own_keys.defined()) {
      r.own_keys = own_keys.const_data_ptr<float>();
      r.own_values = own_values.const_data_ptr<float>();
      r.own_key_stride = own_keys.stride(0);
      r.own_value_stride = own_values.stride(0);
    }
    r.first = plan->first.data();
    r.last = plan->last.data();
    r.own_begin = plan->own_begin.data();
    r.own_index = plan->own_index.data();
    r.tasks = &plan->tasks;
    return r;
  }
};

struct RangeAttentionBackward : BackwardNode {
  Inputs inputs;
  torch::Tensor out, lse;

  variable_list backward(const torch::Tensor& upstream) override {
    const auto zeros = [&](const torch::Tensor& like) {
      return like.defined() ? at::zeros(like.sizes(), inputs.q.options()) : torch::Tensor();
    };
    const auto pointer = [](const torch::Tensor& x) { return x.defined() ? x.mutable_data_ptr<float>() : nullptr; };
    // Zeros: a query that no group has, and a key that no query sees, get no gradient.
    variable_list d = {zeros(inputs.q), zeros(inputs.base_keys), zeros(inputs.base_values), zeros(inputs.own_keys),
                       zeros(inputs.own_values)};
    AttentionGradients g;
    g.out = out.const_data_ptr<float>();
    g.lse = lse.const_data_ptr<float>();
    g.d_out = upstream.const_data_ptr<float>();
    g.d_q = pointer(d[0]);
    g.d_base_keys = pointer(d[1]);
    g.d_base_values = pointer(d[2]);
    g.d_own_keys = pointer(d[3]);
    g.d_own_values = pointer(d[4]);
    row_kernels().attention_backward(inputs.rows(), g);
    return d;
  }
};

}  // namespace

torch::Tensor range_attention(const torch::Tensor& q, const KeysValues& base, const KeysValues& own,
                              const AttentionShape& shape, std::shared_ptr<const RangeAttentionPlan> plan) {
  Inputs inputs{q.detach().contiguous(), row_major(base.keys), row_major(base.values)};
  if (own.keys.defined()) {
    inputs.own_keys = row_major(own.keys);
    inputs.own_values = row_major(own.values);
  }
  inputs.shape = shape;
  inputs.plan = std::move(plan);
  auto out = at::empty(inputs.q.sizes(), inputs.q.options());
  auto lse = at::empty({inputs.q.size(0), shape.num_heads}, inputs.q.options());
  row_kernels().attention(inputs.rows(), out.mutable_data_ptr<float>(), lse.mutable_data_ptr<float>());
  const variable_list sources = {q, base.keys, base.values, own.keys, own.values};
  if (any_requires_grad(sources)) {
    auto node = c10::make_intrusive<RangeAttentionBackward>();
    node->inputs = std::move(inputs);
    node->out = out.detach();
    node->lse = lse;
    attach_node(node, sources, out);
  }
  return out;
}

}  // namespace speculators::nn
