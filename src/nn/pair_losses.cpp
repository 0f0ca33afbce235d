#include "nn/pair_losses.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "nn/autograd_node.h"
#include "nn/pair_loss_pass.h"

namespace speculators::nn {
namespace {

using torch::autograd::variable_list;

// Where the rows of a pass's gradients belong.
struct PassOrder {
  torch::Tensor states, pairs;  // int64 [P]
  int64_t num_states = 0;

  PassOrder() = default;
  PassOrder(const PairLossPass& pass, const PairRows& rows, int64_t count) : num_states(count) {
    std::vector<int64_t> of_states;
    for (const int64_t pair : pass.order()) of_states.push_back(rows.states[pair]);
    states = index_tensor(of_states);
    pairs = index_tensor(pass.order());
  }
  // `rows` [P, D] times `scales` [P], which are by pair, in their places. -> [M, D]
  torch::Tensor place(torch::Tensor rows, const torch::Tensor& scales) const {
    auto result = at::zeros({num_states, rows.size(1)}, rows.options());
    return result.index_copy_(0, states, rows.mul_(scales.index_select(0, pairs).unsqueeze(1)));
  }
};

// Upstream [P] scales each pair's saved d value / d state.
struct PairLossBackward : BackwardNode {
  PairGradients gradients;
  PassOrder order;

  variable_list backward(const torch::Tensor& upstream) override { return {order.place(gradients.states, upstream)}; }
};

// Upstream is one number.
struct PairSumBackward : BackwardNode {
  PairGradients gradients;
  PassOrder order;
  torch::Tensor weights;  // [P]

  variable_list backward(const torch::Tensor& upstream) override {
    const auto scales = weights * upstream;
    variable_list result = {order.place(gradients.states, scales)};
    if (!gradients.factors.defined()) return result;
    result.push_back(order.place(gradients.factors, scales));
    result.push_back(gradients.bias_weight.mul_(upstream));
    return result;
  }
};

PairGradients make_gradients(const DraftSide& draft, int64_t count) {
  PairGradients gradients;
  gradients.states = at::empty({count, draft.states.size(1)}, draft.states.options().requires_grad(false));
  if (!draft.has_bias()) return gradients;
  gradients.factors = at::empty({count, draft.factors.size(1)}, gradients.states.options());
  gradients.bias_weight = at::zeros(draft.bias_weight.sizes(), gradients.states.options());
  return gradients;
}

}  // namespace

PairLosses pair_losses(const torch::Tensor& draft_states, const torch::Tensor& verifier_states, const PairRows& pairs,
                       const FrozenHeads& heads, const PairLossOptions& options) {
  const bool wants_gradient = any_requires_grad({draft_states});
  PairLosses losses;
  PairGradients gradients;
  PassOrder order;
  {
    const at::NoGradGuard no_grad;
    PairLossPass pass(draft_states, verifier_states, pairs, heads, options);
    if (wants_gradient) gradients = make_gradients(draft_states, static_cast<int64_t>(pairs.states.size()));
    pass.run(gradients);
    losses = pass.losses();
    order = PassOrder(pass, pairs, draft_states.size(0));
  }
  if (!wants_gradient) return losses;
  auto node = c10::make_intrusive<PairLossBackward>();
  node->gradients = gradients;
  node->order = order;
  attach_node(node, {draft_states}, losses.value);
  return losses;
}

PairLossSum pair_loss_sum(const DraftSide& draft, const torch::Tensor& verifier_states, const PairRows& pairs,
                          const FrozenHeads& heads, const PairLossOptions& options) {
  if (pairs.weights.size() != pairs.states.size()) {
    throw ShapeError(fmt::format("pair_loss_sum: weights: expected one for each of {} pairs, found {}",
                                 pairs.states.size(), pairs.weights.size()));
  }
  const bool wants_gradient = any_requires_grad({draft.states, draft.factors, draft.bias_weight});
  PairLossSum sum;
  PairGradients gradients;
  PassOrder order;
  torch::Tensor weights;
  {
    const at::NoGradGuard no_grad;
    PairLossPass pass(draft, verifier_states, pairs, heads, options);
    if (wants_gradient) gradients = make_gradients(draft, static_cast<int64_t>(pairs.states.size()));
    pass.run(gradients);
    sum.pairs = pass.losses();
    weights = float_tensor(pairs.weights);
    sum.total = (sum.pairs.value * weights).sum();
    order = PassOrder(pass, pairs, draft.states.size(0));
  }
  if (!wants_gradient) return sum;
  auto node = c10::make_intrusive<PairSumBackward>();
  node->gradients = gradients;
  node->order = order;
  node->weights = weights;
  variable_list inputs = {draft.states};
  if (draft.has_bias()) inputs.insert(inputs.end(), {draft.factors, draft.bias_weight});
  attach_node(node, inputs, sum.total);
  return sum;
}

}  // namespace speculators::nn
