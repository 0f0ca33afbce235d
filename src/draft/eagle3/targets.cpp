#include "draft/eagle3/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace speculators {
namespace {

constexpr double kDenominatorEps = 1e-5;

// Does the chain from `row` still have a target at `step`?
bool in_range(const BatchRows& rows, int64_t row, int64_t step, bool compat_upstream) {
  if (compat_upstream) return row + step < rows.num_rows();
  return rows.same_document(row, row + step);
}

bool in_loss(const BatchRows& rows, int64_t row, int64_t step, bool compat_upstream) {
  return in_range(rows, row, step, compat_upstream) && rows.supervised[row + step];
}

// The next step's conditional accuracy counts chains that were right so far, whether or not this step is in the loss.
bool in_metrics(const BatchRows& rows, int64_t row, int64_t step, int64_t ttt_steps, bool compat_upstream) {
  return step + 1 < ttt_steps && rows.supervised[row] && in_range(rows, row, step + 1, compat_upstream);
}

}  // namespace

ChainPlan plan_chains(const BatchRows& rows, int64_t ttt_steps, bool compat_upstream) {
  ChainPlan plan;
  const auto wanted = [&](int64_t row, int64_t step) {
    return in_loss(rows, row, step, compat_upstream) || in_metrics(rows, row, step, ttt_steps, compat_upstream);
  };
  std::vector<int64_t> num_steps(rows.num_rows(), 0);  // steps a row's chain is computed for
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    for (int64_t step = 0; step < ttt_steps; ++step) {
      if (wanted(row, step)) num_steps[row] = step + 1;
    }
    if (num_steps[row] > 0) plan.rows.push_back(row);
  }
  std::stable_sort(plan.rows.begin(), plan.rows.end(),
                   [&](int64_t a, int64_t b) { return num_steps[a] > num_steps[b]; });
  for (int64_t step = 0; step < ttt_steps; ++step) {
    int64_t active = 0, in_loss_here = 0;
    for (const int64_t row : plan.rows) {
      active += num_steps[row] > step;
      if (!wanted(row, step)) continue;
      plan.pairs.push_back({row, step, in_loss(rows, row, step, compat_upstream)});
      in_loss_here += plan.pairs.back().in_loss;
    }
    plan.num_active.push_back(active);
    plan.num_loss_pairs.push_back(in_loss_here);
  }
  return plan;
}

std::vector<float> chain_weights(const ChainPlan& plan, double decay) {
  std::vector<float> weights;
  for (const ChainPair& pair : plan.pairs) {
    const double denominator = static_cast<double>(plan.num_loss_pairs[pair.step]) + kDenominatorEps;
    weights.push_back(pair.in_loss ? static_cast<float>(std::pow(decay, pair.step) / denominator) : 0.0f);
  }
  return weights;
}

std::map<std::string, MetricPair> chain_metrics(const ChainPlan& plan, const BatchRows& rows,
                                                const nn::PairOutcome& outcome, const nn::LossSpec& spec, double decay,
                                                bool compat_upstream) {
  std::map<std::string, MetricPair> metrics;
  const std::vector<float> weights = chain_weights(plan, decay);
  std::vector<uint8_t> right_so_far = rows.supervised;
  size_t next = 0;
  double total = 0;
  for (int64_t step = 0; step < static_cast<int64_t>(plan.num_active.size()); ++step) {
    double still_right = 0, right = 0, loss = 0;
    std::vector<double> terms(outcome.terms.size(), 0.0);
    for (int64_t row = 0; row < rows.num_rows(); ++row) {
      still_right += right_so_far[row] && in_range(rows, row, step, compat_upstream);
    }
    for (; next < plan.pairs.size() && plan.pairs[next].step == step; ++next) {
      const ChainPair& pair = plan.pairs[next];
      right_so_far[pair.row] = right_so_far[pair.row] && outcome.match[next];
      if (!pair.in_loss) continue;
      right += right_so_far[pair.row];
      loss += weights[next] * outcome.value[next];
      for (size_t k = 0; k < terms.size(); ++k) terms[k] += weights[next] * outcome.terms[k][next];
    }
    metrics[fmt::format("loss_{}", step)] = {loss, 1.0};
    for (size_t k = 0; k < terms.size(); ++k) {
      metrics[fmt::format("{}_loss_{}", nn::name_of(spec.terms[k].kind), step)] = {terms[k], 1.0};
    }
    metrics[fmt::format("full_acc_{}", step)] = {right, static_cast<double>(plan.num_loss_pairs[step])};
    metrics[fmt::format("cond_acc_{}", step)] = {right, still_right};
    total += loss;
  }
  metrics["loss"] = {total, 1.0};
  return metrics;
}

}  // namespace speculators
