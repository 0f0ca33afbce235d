#include "draft/block/targets.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randperm.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace speculators {
namespace {

bool slot_in_loss(const BatchRows& rows, int64_t anchor, int64_t offset, bool compat_upstream) {
  const int64_t row = anchor + offset;
  if (row >= rows.num_rows() || !rows.supervised[row]) return false;
  return compat_upstream || rows.same_document(anchor, row);
}

bool eligible(const BatchRows& rows, const BlockConfig& config, int64_t anchor, bool compat_upstream) {
  if (!rows.supervised[anchor]) return false;
  if (compat_upstream) return anchor < rows.num_rows() - config.block_size;
  for (int64_t offset = config.first_predicting_slot(); offset < config.block_size; ++offset) {
    if (slot_in_loss(rows, anchor, offset, compat_upstream)) return true;
  }
  return false;
}

// One block's D-PACE weights: how much of the expected accepted length hangs on each slot. Slots outside the loss count
// as certain. `weights` holds the element losses on entry.
void dpace(std::vector<float>& weights, size_t begin, size_t end, double alpha) {
  double prefix = 1.0;
  std::vector<double> prefixes;
  for (size_t i = begin; i < end; ++i) {
    prefix *= (1.0 - alpha) * std::exp(-static_cast<double>(weights[i])) + alpha;
    prefixes.push_back(prefix);
  }
  double tail = 0.0;
  for (size_t i = end; i-- > begin;) {
    tail += prefixes[i - begin];
    weights[i] = static_cast<float>(tail);
  }
}

}  // namespace

size_t BlockPlan::end_of_block(size_t begin) const {
  size_t end = begin;
  while (end < pairs.size() && pairs[end].block == pairs[begin].block) ++end;
  return end;
}

std::vector<int64_t> draw_anchors(const BatchRows& rows, const BlockConfig& config, const BlockTrainingOptions& options,
                                  uint64_t seed) {
  std::vector<int64_t> candidates;
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    if (eligible(rows, config, row, options.compat_upstream)) candidates.push_back(row);
  }
  const auto count = static_cast<int64_t>(candidates.size());
  const auto order = at::randperm(count, at::detail::createCPUGenerator(seed), torch::kInt64);
  std::vector<int64_t> anchors;
  for (int64_t i = 0; i < std::min(options.max_anchors, count); ++i) {
    anchors.push_back(candidates[order.data_ptr<int64_t>()[i]]);
  }
  std::sort(anchors.begin(), anchors.end());
  return anchors;
}

BlockPlan plan_blocks(const BatchRows& rows, const BlockConfig& config, std::vector<int64_t> anchors,
                      bool compat_upstream) {
  BlockPlan plan;
  plan.anchors = std::move(anchors);
  const int64_t first = config.first_predicting_slot();
  for (size_t block = 0; block < plan.anchors.size(); ++block) {
    const int64_t anchor = plan.anchors[block];
    for (int64_t offset = first; offset < config.block_size; ++offset) {
      if (!slot_in_loss(rows, anchor, offset, compat_upstream)) continue;
      plan.pairs.push_back({static_cast<int64_t>(block), offset, anchor + offset - first});
    }
  }
  return plan;
}

std::vector<float> fixed_decays(const BlockPlan& plan, const BlockConfig& config, double gamma) {
  std::vector<float> decays;
  for (const BlockPair& pair : plan.pairs) {
    const auto distance = static_cast<double>(pair.offset - config.first_predicting_slot());
    decays.push_back(static_cast<float>(std::exp(-distance / gamma)));
  }
  return decays;
}

std::vector<float> position_weights(const BlockPlan& plan, const BlockConfig& config,
                                    const BlockTrainingOptions& options, const std::vector<float>& values) {
  if (options.position_weight != PositionWeight::kDPace) return fixed_decays(plan, config, options.decay_gamma);
  std::vector<float> weights = values;
  for (size_t begin = 0, end = 0; begin < plan.pairs.size(); begin = end) {
    end = plan.end_of_block(begin);
    dpace(weights, begin, end, options.dpace_alpha);
  }
  return weights;
}

std::vector<float> block_weights(const BlockPlan& plan, const BlockConfig& config, const BlockTrainingOptions& options,
                                 const std::vector<float>& values) {
  std::vector<float> weights = position_weights(plan, config, options, values);
  const double denominator = static_cast<double>(plan.pairs.size()) + kLossDenominatorEps;
  for (float& weight : weights) weight = static_cast<float>(weight / denominator);
  return weights;
}

MetricPair accepted_length(const BlockPlan& plan, int64_t first_slot, const std::vector<uint8_t>& hits) {
  MetricPair length;
  for (size_t begin = 0, end = 0; begin < plan.pairs.size(); begin = end) {
    end = plan.end_of_block(begin);
    if (plan.pairs[end - 1].offset < first_slot) continue;
    int64_t accepted = 0;
    for (size_t i = begin; i < end; ++i) {
      if (hits[i] && plan.pairs[i].offset - first_slot == accepted) ++accepted;
    }
    length.sum += 1.0 + static_cast<double>(accepted);
    length.total += 1;
  }
  return length;
}

std::map<std::string, MetricPair> acceptance_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                     const std::vector<float>& acceptance) {
  double rate = 0, length = 0, num_blocks = 0;
  for (size_t begin = 0, end = 0; begin < plan.pairs.size(); begin = end) {
    end = plan.end_of_block(begin);
    PrefixProduct accepted(config.first_predicting_slot());
    length += 1;  // the bonus token
    num_blocks += 1;
    for (size_t i = begin; i < end; ++i) {
      rate += acceptance[i];
      length += accepted.multiply(plan.pairs[i].offset, acceptance[i]);
    }
  }
  return {{"accept_rate", mean_of(rate, static_cast<double>(plan.pairs.size()))},
          {"accept_len", mean_of(length, num_blocks)}};
}

std::map<std::string, MetricPair> block_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                const nn::LossSpec& spec, const nn::PairOutcome& outcome,
                                                const std::vector<float>& weights) {
  std::map<std::string, MetricPair> metrics;
  MetricPair loss{0.0, 1.0}, full;
  std::vector<MetricPair> positions(config.block_size);
  std::vector<double> terms(outcome.terms.size(), 0.0);
  for (size_t i = 0; i < plan.pairs.size(); ++i) {
    const BlockPair& pair = plan.pairs[i];
    loss.sum += weights[i] * outcome.value[i];
    for (size_t k = 0; k < terms.size(); ++k) terms[k] += weights[i] * outcome.terms[k][i];
    positions[pair.offset].sum += outcome.match[i];
    positions[pair.offset].total += 1;
  }
  for (int64_t offset = config.first_predicting_slot(); offset < config.block_size; ++offset) {
    metrics[fmt::format("position_{}_acc", offset)] = positions[offset];
    full.sum += positions[offset].sum;
    full.total += positions[offset].total;
  }
  for (size_t k = 0; k < terms.size(); ++k)
    metrics[fmt::format("{}_loss", nn::name_of(spec.terms[k].kind))] = {terms[k], 1.0};
  metrics["loss"] = loss;
  metrics["full_acc"] = full;
  metrics["eal"] = accepted_length(plan, config.first_predicting_slot(), outcome.match);
  return metrics;
}

}  // namespace speculators
