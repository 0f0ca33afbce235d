#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/sigmoid.h>

#include <numeric>

#include "draft/dspark/targets.h"
#include "draft/dspark/trainable_heads.h"
#include "draft/dspark/trainable_model.h"
#include "nn/fused_ops.h"

namespace speculators {
namespace {

constexpr double kConfidenceDenominatorEps = 1e-8;

BlockPlan plan_of(const DSparkModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  return plan_blocks(read_batch_rows(model.block, batch), model.config, anchors, model.options.compat_upstream);
}

QuerySlots query_slots(const DSparkConfig& config) {
  return config.is_recurrent() ? QuerySlots::kWholeStart : QuerySlots::kSupervised;
}

// A batch's main loss and what the confidence head said, by pair.
struct Scored {
  torch::Tensor total;  // the compound loss, weighted and summed
  nn::PairLosses pairs;
  torch::Tensor confidence;    // logits [P]; undefined without the head
  std::vector<float> weights;  // of the compound loss
};

// D-PACE is for the main loss; the confidence head's is always on the fixed decay.
torch::Tensor confidence_loss(const DSparkModel& model, const BlockPlan& plan, const Scored& scored) {
  const auto decays =
      nn::float_tensor(fixed_decays(plan, model.config, model.options.decay_gamma), scored.confidence.device());
  const auto losses = at::binary_cross_entropy_with_logits(scored.confidence, scored.pairs.acceptance.detach(), {}, {},
                                                           at::Reduction::None);
  return (losses * decays).sum() / (static_cast<double>(plan.pairs.size()) + kConfidenceDenominatorEps);
}

std::vector<float> host_floats(const torch::Tensor& values) {
  const auto host = values.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

LossResult finish(const DSparkModel& model, const BlockPlan& plan, const Scored& scored) {
  const nn::PairOutcome outcome = nn::outcome_of(scored.pairs);
  LossResult result{scored.total, block_metrics(plan, model.config, model.options.loss, outcome, scored.weights)};
  ConfidenceOutcome confidence{outcome.acceptance, std::nullopt};
  if (scored.confidence.defined()) {
    const auto loss = confidence_loss(model, plan, scored);
    result.loss = result.loss + model.options.confidence_head_alpha * loss;
    result.metrics["confidence_loss"] = {loss.item<double>(), 1.0};
    result.metrics["loss"] = {result.loss.item<double>(), 1.0};
    confidence.chance = host_floats(at::sigmoid(scored.confidence));
  }
  result.metrics.merge(confidence_metrics(plan, model.config, confidence));
  return result;
}

// No slot is supervised.
LossResult nothing_to_learn(const DSparkModel& model, const BlockPlan& plan) {
  LossResult result{(model.block.norm * 0.0).sum(), block_metrics(plan, model.config, model.options.loss, {}, {})};
  ConfidenceOutcome confidence;
  if (model.config.enable_confidence_head) {
    confidence.chance.emplace();
    result.metrics["confidence_loss"] = {0.0, 1.0};
  }
  result.metrics.merge(confidence_metrics(plan, model.config, confidence));
  return result;
}

class FusedStep {
 public:
  FusedStep(const DSparkModel& model, const TrainBatch& batch, const BlockRows& rows)
      : model_(model), batch_(batch), rows_(rows) {}

  Scored run() {
    const auto states = block_states(model_.block, batch_, rows_);  // [Q, D]
    torch::Tensor embeddings;
    nn::DraftSide draft(states);
    if (model_.config.has_markov_head()) {
      const auto tokens =
          tokens_before(model_.config, host_values(batch_.input_ids), rows_.plan.anchors, rows_.queries);
      embeddings = nn::repeat_rows(model_.markov_w1, nn::index_tensor(tokens));  // [Q, r]
      draft = {states, markov_factors(model_, states, embeddings, rows_.queries), model_.markov_w2};
    }
    Scored scored = score(draft);
    if (model_.config.enable_confidence_head) {
      scored.confidence = confidence_logits(model_, of_pairs(states), of_pairs(embeddings));
    }
    return scored;
  }

 private:
  // D-PACE's weights hang on the losses themselves, so these are worked out beforehand.
  Scored score(const nn::DraftSide& draft) const {
    nn::PairRows pairs = rows_.pairs();
    pairs.weights.assign(pairs.states.size(), 0.0f);
    std::vector<float> values = pairs.weights;
    if (model_.options.position_weight == PositionWeight::kDPace) {
      const at::NoGradGuard no_grad;
      values = nn::outcome_of(loss_sum(draft, pairs).pairs).value;
    }
    pairs.weights = block_weights(rows_.plan, model_.config, model_.options, values);
    const nn::PairLossSum sum = loss_sum(draft, pairs);
    return {sum.total, sum.pairs, {}, pairs.weights};
  }
  nn::PairLossSum loss_sum(const nn::DraftSide& draft, const nn::PairRows& pairs) const {
    nn::PairLossOptions options{model_.options.loss, model_.options.compute_dtype};
    options.with_acceptance = true;
    return nn::pair_loss_sum(draft, batch_.last_hidden_states, pairs, model_.block.frozen.heads, options);
  }
  torch::Tensor of_pairs(const torch::Tensor& by_query) const {
    if (!by_query.defined() || rows_.pair_queries.size() == rows_.queries.size()) return by_query;
    return nn::gather_rows(by_query, nn::index_tensor(rows_.pair_queries));
  }

  const DSparkModel& model_;
  const TrainBatch& batch_;
  const BlockRows& rows_;
};

}  // namespace

LossResult dspark_forward(const DSparkModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const BlockPlan plan = plan_of(model, batch, anchors);
  if (plan.pairs.empty()) return nothing_to_learn(model, plan);
  const BlockRows rows = make_block_rows(model.block, batch, plan, query_slots(model.config));
  return finish(model, rows.plan, FusedStep(model, batch, rows).run());
}

LossResult dspark_forward_plain(const DSparkModel& model, const TrainBatch& batch,
                                const std::vector<int64_t>& anchors) {
  const BlockPlan plan = plan_of(model, batch, anchors);
  if (plan.pairs.empty()) return nothing_to_learn(model, plan);
  const auto device = batch.input_ids.device();
  const auto states = block_states_plain(model.block, batch, plan.anchors);  // [G*L, D]
  torch::Tensor embeddings;
  nn::DraftSide draft(states);
  if (model.config.has_markov_head()) {
    std::vector<int64_t> slots(states.size(0));
    std::iota(slots.begin(), slots.end(), int64_t{0});
    const auto tokens = tokens_before(model.config, host_values(batch.input_ids), plan.anchors, slots);
    embeddings = at::embedding(model.markov_w1, nn::index_tensor(tokens, device));
    draft = {states, markov_factors_plain(model, states, embeddings), model.markov_w2};
  }
  nn::PairRows pairs;
  for (const BlockPair& pair : plan.pairs) {
    pairs.states.push_back(pair.block * model.config.block_size + pair.offset);
    pairs.targets.push_back(pair.target);
  }
  Scored scored;
  scored.pairs =
      nn::pair_losses_plain(draft, batch.last_hidden_states, pairs, model.block.frozen.heads, model.options.loss);
  scored.weights = block_weights(plan, model.config, model.options, nn::outcome_of(scored.pairs).value);
  scored.total = (scored.pairs.value * nn::float_tensor(scored.weights, device)).sum();
  if (model.config.enable_confidence_head) {
    scored.confidence =
        confidence_logits(model, states, embeddings).index_select(0, nn::index_tensor(pairs.states, device));
  }
  return finish(model, plan, scored);
}

}  // namespace speculators
