#include "draft/xpress/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "draft/block/trainable_rows.h"

namespace speculators {
namespace {

double mean_round(const XPressSums& sums) {
  double sum = 0;
  for (const PassSums& round : sums.rounds) sum += round.loss;
  return sum / static_cast<double>(sums.rounds.size());
}

}  // namespace

std::vector<int64_t> forced_tokens(const XPressConfig& config, const BatchRows& rows,
                                   const std::vector<int64_t>& input_ids, const std::vector<int64_t>& anchors) {
  std::vector<int64_t> slots(anchors.size() * config.block_size);
  std::iota(slots.begin(), slots.end(), int64_t{0});
  std::vector<int64_t> tokens = tokens_before(config, input_ids, anchors, slots);
  for (size_t block = 0; block < anchors.size() && !config.sample_from_anchor; ++block) {
    const int64_t anchor = anchors[block];
    if (rows.same_document(anchor - 1, anchor)) tokens[block * config.block_size] = input_ids[anchor - 1];
  }
  return tokens;
}

std::vector<int64_t> round_tokens(const XPressConfig& config, const std::vector<int64_t>& forced,
                                  const std::vector<int64_t>& predicted) {
  std::vector<int64_t> tokens = forced;
  for (size_t slot = config.first_predicting_slot() + 1; slot < tokens.size(); ++slot)
    tokens[slot] = predicted[slot - 1];
  return tokens;
}

std::vector<int64_t> data_labels(const BlockPlan& plan, const XPressConfig& config, const BatchRows& rows,
                                 const std::vector<int64_t>& input_ids, bool compat_upstream) {
  std::vector<int64_t> labels;
  for (const BlockPair& pair : plan.pairs) {
    const int64_t row = pair.target + 1;  // the target's state predicts the row behind it
    const bool is_known = compat_upstream || rows.same_document(plan.anchors[pair.block], row);
    labels.push_back(is_known ? input_ids[std::min(row, rows.num_rows() - 1)] : -1);
  }
  return labels;
}

double XPressSums::total(const XPressTrainingOptions& options) const {
  double total = forced.loss;
  if (!rounds.empty()) total += options.consistency_weight * mean_round(*this);
  if (base) total += options.base_anchor_weight * base->loss;
  return total;
}

std::map<std::string, MetricPair> xpress_metrics(const XPressTrainingOptions& options, const XPressSums& sums,
                                                 int64_t num_pairs) {
  const auto count = static_cast<double>(num_pairs);
  std::map<std::string, MetricPair> metrics = {{"loss", {sums.total(options), 1.0}},
                                               {"tf_loss", {sums.forced.loss, 1.0}},
                                               {"accept_rate", mean_of(sums.forced.acceptance, count)},
                                               {"accuracy", mean_of(sums.forced.hits, count)}};
  if (!sums.rounds.empty()) metrics["consistency_loss"] = {mean_round(sums), 1.0};
  for (size_t round = 0; round < sums.rounds.size(); ++round)
    metrics[fmt::format("consistency_round{}_loss", round)] = {sums.rounds[round].loss, 1.0};
  if (sums.base) {
    metrics["base_anchor_loss"] = {sums.base->loss, 1.0};
    metrics["base_accept_rate"] = mean_of(sums.base->acceptance, count);
  }
  if (options.loss.terms.size() < 2 && !options.has_hard_labels()) return metrics;
  for (const nn::LossTerm& term : options.loss.terms) {
    metrics[fmt::format("{}_loss", nn::name_of(term.kind))] = {sums.forced.terms[static_cast<int>(term.kind)], 1.0};
  }
  return metrics;
}

LossResult nothing_to_learn(const XPressTrainingOptions& options, const torch::Tensor& parameter) {
  XPressSums sums;
  sums.rounds.resize(options.num_rounds());
  if (options.has_base_anchor()) sums.base.emplace();
  return {(parameter * 0.0).sum(), xpress_metrics(options, sums, /*num_pairs=*/0)};
}

}  // namespace speculators
