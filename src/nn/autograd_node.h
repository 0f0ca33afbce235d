// A hand-written backward as a node of torch's autograd graph: members hold what backward needs, apply() computes it.
// Leaner than autograd::Function (no boxing, no IValues). A node must not hold its own outputs as graph members
// (that would be a cycle): hold detached tensors. Backward runs once; a second one throws. Made with
// c10::make_intrusive.
#pragma once

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/types.h>

#include "base/errors.h"

namespace speculators::nn {

// Nodes carry their gradients in the order of `inputs` given to attach_node.
struct BackwardNode : torch::autograd::Node {
  virtual torch::autograd::variable_list backward(const torch::Tensor& upstream) = 0;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& upstream) final {
    if (used_) throw UsageError("backward ran a second time through the same graph; call forward again");
    used_ = true;
    if (!upstream[0].defined()) return torch::autograd::variable_list(num_outputs());
    return backward(upstream[0].contiguous());
  }

 private:
  bool used_ = false;
};

inline bool any_requires_grad(const torch::autograd::variable_list& inputs) {
  if (!at::GradMode::is_enabled()) return false;
  for (const auto& input : inputs) {
    if (input.defined() && input.requires_grad()) return true;
  }
  return false;
}

// Makes `output` the result of `node` over `inputs`. Call only when any_requires_grad(inputs).
inline void attach_node(const c10::intrusive_ptr<torch::autograd::Node>& node,
                        const torch::autograd::variable_list& inputs, torch::Tensor& output) {
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  torch::autograd::set_history(output, node);
}

}  // namespace speculators::nn
