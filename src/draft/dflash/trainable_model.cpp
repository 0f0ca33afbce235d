#include "draft/dflash/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>

namespace speculators {
namespace {

BlockPlan plan_of(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  return plan_blocks(read_batch_rows(model, batch), model.config, anchors, model.options.compat_upstream);
}

LossResult weighted_result(const BlockModel& model, const BlockPlan& plan, const nn::PairLosses& losses) {
  const nn::PairOutcome outcome = nn::outcome_of(losses);
  const std::vector<float> weights = block_weights(plan, model.config, model.options, outcome.value);
  return {(losses.value * nn::float_tensor(weights, losses.value.device())).sum(),
          block_metrics(plan, model.config, model.options.loss, outcome, weights)};
}

}  // namespace

BlockModel make_dflash_model(const BlockConfig& config, const BlockTrainingOptions& options, FrozenTensors frozen,
                             uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return make_block_model(config, options, std::move(frozen), generator);
}

LossResult dflash_forward_plain(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const BlockPlan plan = plan_of(model, batch, anchors);
  nn::PairRows pairs;
  for (const BlockPair& pair : plan.pairs) {
    pairs.states.push_back(pair.block * model.config.block_size + pair.offset);
    pairs.targets.push_back(pair.target);
  }
  return weighted_result(model, plan,
                         nn::pair_losses_plain(block_states_plain(model, batch, plan.anchors), batch.last_hidden_states,
                                               pairs, model.frozen.heads, model.options.loss));
}

LossResult dflash_forward(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const BlockPlan plan = plan_of(model, batch, anchors);
  if (plan.pairs.empty()) {
    return {(model.norm * 0.0).sum(), block_metrics(plan, model.config, model.options.loss, {}, {})};
  }
  const BlockRows rows = make_block_rows(model, batch, plan, QuerySlots::kSupervised);
  return weighted_result(model, rows.plan,
                         nn::pair_losses(block_states(model, batch, rows), batch.last_hidden_states, rows.pairs(),
                                         model.frozen.heads, {model.options.loss, model.options.compute_dtype}));
}

double dflash_needed_flops(const BlockModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  return block_flops(model, make_block_rows(model, batch, plan_of(model, batch, anchors), QuerySlots::kSupervised));
}

}  // namespace speculators
