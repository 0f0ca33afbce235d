// What DSpark reports beside the block family's metrics: how much of the drafts is accepted under rejection sampling,
// and how well the confidence head foresees it. Source: reference algorithms.md 8.3, 8.4.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "draft/block/targets.h"

namespace speculators {

// By pair of the plan.
struct ConfidenceOutcome {
  std::vector<float> acceptance;             // 1 - TV of the corrected logits
  std::optional<std::vector<float>> chance;  // what the confidence head says; none without one
};

// accept_rate, accept_len; with a confidence head confidence_abs_error, _pred_mean, _cumprod_bias.
std::map<std::string, MetricPair> confidence_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                     const ConfidenceOutcome& outcome);

}  // namespace speculators
