#include <ATen/ops/gather.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "draft/xpress/targets.h"
#include "draft/xpress/trainable_model.h"
#include "draft/xpress/trainable_refiner.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

constexpr double kHardLabelEps = 1e-8;

double value_of(const torch::Tensor& sum) { return sum.detach().item<double>(); }

class PlainStep {
 public:
  PlainStep(const XPressModel& model, const TrainBatch& batch, const BlockPlan& plan)
      : model_(model), options_(model.options), plan_(plan), device_(batch.input_ids.device()) {
    const BatchRows rows = read_batch_rows(model.block, batch);
    const std::vector<int64_t> input_ids = host_values(batch.input_ids);
    forced_ = forced_tokens(model.config, rows, input_ids, plan.anchors);
    std::vector<int64_t> slots, target_rows;
    for (const BlockPair& pair : plan.pairs) {
      slots.push_back(pair.block * model.config.block_size + pair.offset);
      target_rows.push_back(pair.target);
    }
    pair_slots_ = nn::index_tensor(slots, device_);
    const auto& heads = model.block.frozen.heads;
    const auto states = batch.last_hidden_states.index_select(0, nn::index_tensor(target_rows, device_));
    targets_ =
        at::linear(nn::rms_norm_plain(states, heads.verifier_norm, heads.verifier_norm_eps), heads.verifier_lm_head);
    best_ = labels_ = targets_.argmax(-1);
    if (model.config.reduced_vocabulary()) return;
    const auto data =
        nn::index_tensor(data_labels(plan, model.config, rows, input_ids, options_.compat_upstream), device_);
    labels_ = at::where(data < 0, best_, data);
  }

  LossResult run(const torch::Tensor& states) {
    const auto base = at::linear(states, model_.block.frozen.heads.lm_head);  // [G*L, V]
    XPressSums sums;
    auto logits = refined(states, base, forced_);
    auto loss = score(logits, /*by_position=*/true, sums.forced);
    logits = base;
    for (int64_t round = 0; round < options_.num_rounds(); ++round) {
      logits = refined(states, base, tokens_after(logits));
      sums.rounds.emplace_back();
      const double share = options_.consistency_weight / static_cast<double>(options_.num_rounds());
      loss = loss + share * score(logits, /*by_position=*/true, sums.rounds.back());
    }
    if (options_.has_base_anchor()) {
      sums.base.emplace();
      loss = loss + options_.base_anchor_weight * score(base, !options_.base_anchor_full_weight, *sums.base);
    }
    return {loss, xpress_metrics(options_, sums, num_pairs())};
  }

 private:
  int64_t num_pairs() const { return static_cast<int64_t>(plan_.pairs.size()); }

  torch::Tensor refined(const torch::Tensor& states, const torch::Tensor& base,
                        const std::vector<int64_t>& previous) const {
    const auto latents = refiner_latents_plain(model_, states, previous);
    return base + nn::linear_plain(latents, model_.readout, {}, options_.compute_dtype);
  }

  // What the next round reads.
  std::vector<int64_t> tokens_after(const torch::Tensor& logits) const {
    auto ids = logits.detach().argmax(-1);
    const auto& d2t = model_.block.frozen.d2t;
    if (d2t.defined()) ids = ids + d2t.to(device_).index_select(0, ids);
    const std::vector<int64_t> predicted = host_values(ids);
    std::vector<int64_t> tokens;
    const int64_t block_size = model_.config.block_size;
    for (size_t begin = 0; begin < predicted.size(); begin += block_size) {
      const auto one_block = [&](const std::vector<int64_t>& all) {
        return std::vector<int64_t>(all.begin() + begin, all.begin() + begin + block_size);
      };
      const auto block = round_tokens(model_.config, one_block(forced_), one_block(predicted));
      tokens.insert(tokens.end(), block.begin(), block.end());
    }
    return tokens;
  }

  torch::Tensor hard_cross_entropy(const torch::Tensor& logits) const {
    return -at::log_softmax(logits, -1).gather(1, labels_.unsqueeze(1)).squeeze(1);
  }

  // The compound loss of one pass; fills its sums.
  torch::Tensor score(const torch::Tensor& all_logits, bool by_position, PassSums& sums) const {
    const auto logits = all_logits.index_select(0, pair_slots_);  // [P, V]
    auto loss = at::zeros({}, logits.options());
    for (const nn::LossTerm& term : options_.loss.terms) {
      const bool is_hard = options_.has_hard_labels() && term.kind == nn::LossKind::kCrossEntropy;
      const auto values = is_hard ? hard_cross_entropy(logits) : nn::element_loss_plain(term.kind, logits, targets_);
      const double denominator = static_cast<double>(num_pairs()) + (is_hard ? kHardLabelEps : kLossDenominatorEps);
      const auto value = (values * weights_of(values, by_position)).sum() / denominator;
      sums.terms[static_cast<int>(term.kind)] = value_of(value);
      loss = loss + term.weight * value;
    }
    sums.loss = value_of(loss);
    sums.acceptance =
        value_of((1.0 - nn::element_loss_plain(nn::LossKind::kTotalVariation, logits.detach(), targets_)).sum());
    sums.hits = value_of((logits.detach().argmax(-1) == labels_).sum());
    return loss;
  }

  // D-PACE has one term, so the values of a term are those of the loss.
  torch::Tensor weights_of(const torch::Tensor& values, bool by_position) const {
    std::vector<float> weights(plan_.pairs.size(), 1.0f);
    if (by_position) {
      const auto host = values.detach().to(torch::kCPU, torch::kFloat32).contiguous();
      std::copy_n(host.const_data_ptr<float>(), weights.size(), weights.begin());
      weights = position_weights(plan_, model_.config, options_, weights);
    }
    return nn::float_tensor(weights, device_);
  }

  const XPressModel& model_;
  const XPressTrainingOptions& options_;
  const BlockPlan& plan_;
  const torch::Device device_;
  std::vector<int64_t> forced_;  // [G*L]
  torch::Tensor pair_slots_;     // int64 [P]
  torch::Tensor targets_;        // the verifier's logits [P, V]
  torch::Tensor best_, labels_;  // int64 [P]: its best token; the data's, where there is one
};

}  // namespace

LossResult xpress_forward_plain(const XPressModel& model, const TrainBatch& batch,
                                const std::vector<int64_t>& anchors) {
  const BlockPlan plan =
      plan_blocks(read_batch_rows(model.block, batch), model.config, anchors, model.options.compat_upstream);
  if (plan.pairs.empty()) return nothing_to_learn(model.options, model.block.norm);
  const auto states = block_states_plain(model.block, batch, plan.anchors);  // [G*L, D]
  return PlainStep(model, batch, plan).run(states);
}

}  // namespace speculators
