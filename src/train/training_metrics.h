// Metrics of steps and epochs: (sum, total) pairs pooled over batches, then divided. Source: reference
// algorithms.md 11.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "draft/trainable.h"
#include "train/metric_loggers.h"

namespace speculators {

using MetricPairs = std::map<std::string, MetricPair>;

void add_pairs(MetricPairs& pool, const MetricPairs& pairs);
// sum / total, 0 where the total is not positive. Names become prefix + name + suffix.
Metrics values_of(const MetricPairs& pool, const std::string& prefix = "", const std::string& suffix = "");

// What the draft gets right at position 0, 1, ...: EAGLE's chains ("full_acc_t") or the slots of a block
// ("position_s_acc").
std::vector<double> position_accuracies(const MetricPairs& pool);
// Tokens gained per round, bonus included, if drafting went as well as in these batches: "eal" where the draft counts
// it, else 1 + the chain accuracies. Nothing when neither is there.
std::optional<double> estimated_acceptance_length(const MetricPairs& pool);

}  // namespace speculators
