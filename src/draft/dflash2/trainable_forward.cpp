#include <ATen/ops/embedding.h>
#include <ATen/ops/log_softmax.h>

#include "draft/dflash2/targets.h"
#include "draft/dflash2/trainable_model.h"
#include "nn/fused_ops.h"
#include "nn/linear_use.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

BlockPlan plan_of(const DFlash2Model& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  return plan_blocks(read_batch_rows(model.block, batch), model.config, anchors, model.options.compat_upstream);
}

// Slots of the pairs. [P]
std::vector<int64_t> slots_of(const BlockPlan& plan, int64_t block_size) {
  std::vector<int64_t> slots;
  for (const BlockPair& pair : plan.pairs) slots.push_back(pair.block * block_size + pair.offset);
  return slots;
}

// The token before each pair's slot. int64 [P]
torch::Tensor predecessors(const DFlash2Model& model, const TrainBatch& batch, const BlockPlan& plan) {
  return nn::index_tensor(
      tokens_before(model.config, host_values(batch.input_ids), plan.anchors, slots_of(plan, model.config.block_size)),
      batch.input_ids.device());
}

std::vector<uint8_t> host_flags(const torch::Tensor& flags) {
  const auto host = flags.to(torch::kCPU, torch::kUInt8).contiguous();
  return {host.const_data_ptr<uint8_t>(), host.const_data_ptr<uint8_t>() + host.numel()};
}

std::vector<float> host_floats(const torch::Tensor& values) {
  const auto host = values.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

// The loss of the block's own logits and that of the selector, each with the weights of its slots.
LossResult finish(const DFlash2Model& model, const BlockPlan& plan, const nn::PairLosses& unary,
                  const torch::Tensor& scores) {
  const nn::PairOutcome outcome = nn::outcome_of(unary);
  const nn::PairCandidates& candidates = unary.candidates;
  const auto device = scores.device();
  const auto losses = -scores.log_softmax(1).gather(1, candidates.labels.unsqueeze(1)).squeeze(1);  // [P]
  const auto weights = block_weights(plan, model.config, model.options, outcome.value),
             selector_weights = block_weights(plan, model.config, model.options, host_floats(losses));
  const auto unary_loss = (unary.value * nn::float_tensor(weights, device)).sum(),
             selector_loss = (losses * nn::float_tensor(selector_weights, device)).sum();
  LossResult result{
      unary_loss + model.options.selector_loss_alpha * selector_loss,
      selector_metrics(plan, model.config, model.config.selector_top_k,
                       {host_flags(candidates.holds_label), host_flags(scores.detach().argmax(1).eq(candidates.labels)),
                        host_floats(candidates.target_mass)})};
  result.metrics["loss"] = {result.loss.item<double>(), 1.0};
  result.metrics["unary_loss"] = {unary_loss.item<double>(), 1.0};
  result.metrics["selector_loss"] = {selector_loss.item<double>(), 1.0};
  result.metrics.merge(acceptance_metrics(plan, model.config, outcome.acceptance));
  result.metrics.merge(block_metrics(plan, model.config, model.options.loss, outcome, weights));
  return result;
}

// No slot is supervised.
LossResult nothing_to_learn(const DFlash2Model& model, const BlockPlan& plan) {
  LossResult result{(model.block.norm * 0.0).sum(),
                    selector_metrics(plan, model.config, model.config.selector_top_k, {})};
  for (const char* name : {"loss", "unary_loss", "selector_loss"}) result.metrics[name] = {0.0, 1.0};
  result.metrics.merge(acceptance_metrics(plan, model.config, {}));
  result.metrics.merge(block_metrics(plan, model.config, model.options.loss, {}, {}));
  return result;
}

}  // namespace

LossResult dflash2_forward(const DFlash2Model& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const BlockPlan plan = plan_of(model, batch, anchors);
  if (plan.pairs.empty()) return nothing_to_learn(model, plan);
  const BlockRows rows = make_block_rows(model.block, batch, plan, QuerySlots::kWholeStart);
  const auto states = block_states(model.block, batch, rows);  // [Q, D]
  nn::PairLossOptions options{model.options.loss, model.options.compute_dtype};
  options.with_acceptance = true;
  options.num_candidates = model.config.selector_top_k;
  const nn::FrozenHeads& heads = model.block.frozen.heads;
  const nn::PairLosses unary = nn::pair_losses(states, batch.last_hidden_states, rows.pairs(), heads, options);

  const auto of_pairs = nn::gather_rows(states, nn::index_tensor(rows.pair_queries));  // [P, D]
  const auto projected = nn::LinearUse(model.hidden_projection, model.options.compute_dtype).apply(of_pairs);
  const auto context =
      nn::repeat_rows(model.predecessor_codebook, predecessors(model, batch, rows.plan)) * projected;  // [P, r]
  const auto scores =
      nn::candidate_scores({of_pairs, context, model.successor_codebook}, heads.lm_head, unary.candidates);
  return finish(model, rows.plan, unary, scores);
}

LossResult dflash2_forward_plain(const DFlash2Model& model, const TrainBatch& batch,
                                 const std::vector<int64_t>& anchors) {
  const BlockPlan plan = plan_of(model, batch, anchors);
  if (plan.pairs.empty()) return nothing_to_learn(model, plan);
  const auto states = block_states_plain(model.block, batch, plan.anchors);  // [G*L, D]
  nn::PairRows pairs;
  pairs.states = slots_of(plan, model.config.block_size);
  for (const BlockPair& pair : plan.pairs) pairs.targets.push_back(pair.target);
  const nn::PairLosses unary = nn::pair_losses_plain(states, batch.last_hidden_states, pairs, model.block.frozen.heads,
                                                     model.options.loss, model.config.selector_top_k);

  const auto of_pairs = states.index_select(0, nn::index_tensor(pairs.states, states.device()));
  const auto projected = nn::linear_plain(of_pairs, model.hidden_projection.weight(0), {}, model.options.compute_dtype);
  const auto context = at::embedding(model.predecessor_codebook, predecessors(model, batch, plan)) * projected;
  return finish(model, plan, unary,
                nn::candidate_scores_plain({of_pairs, context, model.successor_codebook}, unary.candidates));
}

}  // namespace speculators
