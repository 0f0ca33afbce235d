#include <ATen/ops/full.h>

#include "draft/xpress/trainable_pass.h"
#include "draft/xpress/trainable_refiner.h"
#include "nn/autograd_node.h"

namespace speculators {
namespace {

using torch::autograd::variable_list;

// Inputs: states, latents of all passes, readout.
struct RefinedLossBackward : nn::BackwardNode {
  torch::Tensor d_states, d_latents, d_readout;

  variable_list backward(const torch::Tensor& upstream) override {
    return {d_states.mul_(upstream), d_latents.mul_(upstream), d_readout.mul_(upstream)};
  }
};

BlockPlan plan_of(const XPressModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  return plan_blocks(read_batch_rows(model.block, batch), model.config, anchors, model.options.compat_upstream);
}

}  // namespace

// The latent states are computed twice: without a graph while the rounds find their tokens, and for all passes together
// once these are known. Against the logits of a vocabulary that is little.
LossResult xpress_forward(const XPressModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const BlockPlan plan = plan_of(model, batch, anchors);
  if (plan.pairs.empty()) return nothing_to_learn(model.options, model.block.norm);
  const BlockRows rows = make_block_rows(model.block, batch, plan, QuerySlots::kWholeBlock);
  const auto states = block_states(model.block, batch, rows);  // [G*L, D]
  const auto features = refiner_features(model, states);       // [G*L, r]
  RefinedLosses losses = refined_losses(model, batch, rows, states, features);
  const auto total = static_cast<float>(losses.sums.total(model.options));
  LossResult result{at::full({}, total, states.options().requires_grad(false)),
                    xpress_metrics(model.options, losses.sums, static_cast<int64_t>(plan.pairs.size()))};
  if (!losses.d_states.defined()) return result;
  auto node = c10::make_intrusive<RefinedLossBackward>();
  node->d_states = losses.d_states;
  node->d_latents = losses.d_latents;
  node->d_readout = losses.d_readout;
  nn::attach_node(node, {states, refiner_latents(model, features, losses.previous), model.readout}, result.loss);
  return result;
}

}  // namespace speculators
