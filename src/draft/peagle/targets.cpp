#include "draft/peagle/targets.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randperm.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace speculators {
namespace {

constexpr double kDenominatorEps = 1e-5;

// `count` of `rows`, ascending.
std::vector<int64_t> draw_rows(const std::vector<int64_t>& rows, int64_t count, at::Generator& generator) {
  const auto order = at::randperm(static_cast<int64_t>(rows.size()), generator, torch::kInt64);
  std::vector<int64_t> drawn;
  for (int64_t i = 0; i < count; ++i) drawn.push_back(rows[order.const_data_ptr<int64_t>()[i]]);
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

// The most slots of a depth.
int64_t depth_limit(const SlotSampling& sampling, int64_t num_seeds, int64_t depth) {
  const double kept = std::pow(sampling.down_sample_ratio, static_cast<double>(depth));
  const auto longest = static_cast<double>(std::max<int64_t>(num_seeds - depth, 0));
  return static_cast<int64_t>(longest * std::max(kept, sampling.down_sample_ratio_min));
}

}  // namespace

std::vector<DepthSlot> draw_slots(const BatchRows& rows, const SlotSampling& sampling, bool compat_upstream,
                                  uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  std::vector<int64_t> pool;
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    if (rows.supervised[row]) pool.push_back(row);
  }
  if (static_cast<int64_t>(pool.size()) > sampling.max_anchors) pool = draw_rows(pool, sampling.max_anchors, generator);
  const auto num_seeds = static_cast<int64_t>(pool.size());
  std::vector<DepthSlot> slots;
  for (int64_t depth = 1; depth < sampling.num_depths; ++depth) {
    const int64_t limit = depth_limit(sampling, num_seeds, depth);
    if (limit <= 0) break;
    if (!compat_upstream) std::erase_if(pool, [&](int64_t row) { return !rows.same_document(row - depth, row); });
    const auto chosen = static_cast<int64_t>(pool.size()) >= limit ? draw_rows(pool, limit, generator) : pool;
    pool.clear();
    for (const int64_t row : chosen) {
      slots.push_back({row - depth, depth});
      if (row + 1 < rows.num_rows() && rows.supervised[row + 1]) pool.push_back(row + 1);
    }
  }
  return slots;
}

std::vector<DepthSlot> loss_slots(const BatchRows& rows, const std::vector<DepthSlot>& slots) {
  std::vector<DepthSlot> pairs;
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    if (rows.supervised[row]) pairs.push_back({row, 0});
  }
  pairs.insert(pairs.end(), slots.begin(), slots.end());
  return pairs;
}

double slot_weight(int64_t num_pairs) { return 1.0 / (static_cast<double>(num_pairs) + kDenominatorEps); }

std::map<std::string, MetricPair> slot_metrics(const std::vector<DepthSlot>& pairs, int64_t num_depths,
                                               const nn::PairOutcome& outcome, const nn::LossSpec& spec) {
  std::map<std::string, MetricPair> metrics;
  const auto mean = [&](const std::vector<float>& values) {
    return slot_weight(static_cast<int64_t>(pairs.size())) * std::accumulate(values.begin(), values.end(), 0.0);
  };
  metrics["loss"] = {mean(outcome.value), 1.0};
  for (size_t k = 0; k < outcome.terms.size(); ++k) {
    metrics[fmt::format("{}_loss", nn::name_of(spec.terms[k].kind))] = {mean(outcome.terms[k]), 1.0};
  }
  MetricPair& all = metrics["full_acc"];
  std::vector<MetricPair> by_depth(num_depths);
  for (size_t i = 0; i < pairs.size(); ++i) {
    for (MetricPair* counted : {&all, &by_depth.at(pairs[i].depth)}) {
      counted->sum += outcome.match[i];
      counted->total += 1;
    }
  }
  for (int64_t depth = 0; depth < num_depths; ++depth) {
    metrics[fmt::format("position_{}_acc", depth)] = by_depth[depth];
  }
  return metrics;
}

}  // namespace speculators
