#include "draft/mtp/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace speculators {
namespace {

// Upstream looks at positions alone, so that every padding row is a document of its own.
std::vector<int64_t> starts_by_position(const std::vector<int64_t>& positions) {
  std::vector<int64_t> starts(positions.size());
  for (size_t i = 0; i < positions.size(); ++i) {
    const bool goes_on = i > 0 && positions[i] == positions[i - 1] + 1;
    starts[i] = goes_on ? starts[i - 1] : static_cast<int64_t>(i);
  }
  return starts;
}

std::vector<int64_t> marked_rows(const std::vector<uint8_t>& marked) {
  std::vector<int64_t> rows;
  for (size_t i = 0; i < marked.size(); ++i) {
    if (marked[i]) rows.push_back(static_cast<int64_t>(i));
  }
  return rows;
}

// Marks every row before a marked one in its document.
std::vector<uint8_t> with_rows_before(std::vector<uint8_t> marked, const std::vector<int64_t>& document_first) {
  for (auto i = static_cast<int64_t>(marked.size()) - 1; i > 0; --i) {
    if (marked[i] && document_first[i - 1] == document_first[i]) marked[i - 1] = 1;
  }
  return marked;
}

// Steps and rows that upstream computes of T packed tokens.
struct UpstreamLimits {
  int64_t steps, rows;
  UpstreamLimits(int64_t num_tokens, int64_t num_steps)
      : steps(std::min(num_steps, std::max<int64_t>(0, num_tokens - 2))),
        rows(steps == 0 ? 0 : std::max<int64_t>(0, num_tokens - steps - 1)) {}
};

}  // namespace

int64_t MtpPlan::num_labelled() const {
  int64_t count = 0;
  for (const MtpStep& step : steps) count += static_cast<int64_t>(step.labelled.size());
  return count;
}

MtpPlan plan_mtp_steps(const BatchRows& rows, const std::vector<int64_t>& positions, int64_t num_steps,
                       bool compat_upstream) {
  const UpstreamLimits limits(rows.num_rows(), num_steps);
  const auto has_label = [&](int64_t row, int64_t step) {
    const int64_t label = label_row(row, step);
    if (compat_upstream) return step < limits.steps && row < limits.rows && rows.supervised[label] != 0;
    return rows.same_document(row, label) && rows.supervised[label] != 0;
  };
  MtpPlan plan;
  plan.document_first = compat_upstream ? starts_by_position(positions) : document_starts(rows);
  plan.steps.resize(num_steps);
  std::vector<uint8_t> next_context(rows.num_rows(), 0);
  for (int64_t k = num_steps - 1; k >= 0; --k) {
    std::vector<uint8_t> labelled(rows.num_rows(), 0), computed = next_context;
    for (int64_t row = 0; row < rows.num_rows(); ++row) {
      labelled[row] = has_label(row, k);
      computed[row] |= labelled[row];
    }
    next_context = with_rows_before(computed, plan.document_first);
    plan.steps[k] = {marked_rows(next_context), marked_rows(computed), marked_rows(labelled)};
  }
  return plan;
}

std::vector<double> mtp_step_weights(double beta, int64_t num_steps) {
  std::vector<double> weights(num_steps);
  double sum = 0;
  for (int64_t k = 0; k < num_steps; ++k) sum += weights[k] = std::pow(beta, k);
  for (double& weight : weights) weight /= sum;
  return weights;
}

std::vector<float> mtp_row_weights(const MtpPlan& plan, const std::vector<double>& step_weights) {
  std::vector<float> weights;
  for (size_t k = 0; k < plan.steps.size(); ++k) {
    const size_t count = plan.steps[k].labelled.size();
    weights.insert(weights.end(), count, static_cast<float>(step_weights[k] / static_cast<double>(count)));
  }
  return weights;
}

std::map<std::string, MetricPair> mtp_metrics(const MtpPlan& plan, const std::vector<float>& row_weights,
                                              const std::vector<float>& values, const std::vector<uint8_t>& match) {
  std::map<std::string, MetricPair> metrics;
  size_t next = 0;
  double total = 0;
  for (size_t k = 0; k < plan.steps.size(); ++k) {
    const size_t count = plan.steps[k].labelled.size();
    double loss = 0, hits = 0;
    for (const size_t end = next + count; next < end; ++next) {
      loss += double{row_weights[next]} * values[next];
      hits += match[next];
    }
    metrics[fmt::format("loss_step_{}", k)] = {loss, 1.0};
    metrics[fmt::format("acc_step_{}", k)] = {hits, static_cast<double>(count)};
    total += loss;
  }
  metrics["loss"] = {total, 1.0};
  return metrics;
}

}  // namespace speculators
