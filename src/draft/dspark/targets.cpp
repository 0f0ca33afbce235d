#include "draft/dspark/targets.h"

#include <cmath>

namespace speculators {

std::map<std::string, MetricPair> confidence_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                     const ConfidenceOutcome& outcome) {
  std::map<std::string, MetricPair> metrics = acceptance_metrics(plan, config, outcome.acceptance);
  if (!outcome.chance) return metrics;
  const std::vector<float>&chance = *outcome.chance, &acceptance = outcome.acceptance;
  double error = 0, mean = 0, bias = 0;
  for (size_t begin = 0, end = 0; begin < plan.pairs.size(); begin = end) {
    end = plan.end_of_block(begin);
    PrefixProduct accepted(config.first_predicting_slot()), foreseen(config.first_predicting_slot());
    for (size_t i = begin; i < end; ++i) {
      error += std::abs(chance[i] - acceptance[i]);
      mean += chance[i];
      bias +=
          foreseen.multiply(plan.pairs[i].offset, chance[i]) - accepted.multiply(plan.pairs[i].offset, acceptance[i]);
    }
  }
  const auto count = static_cast<double>(plan.pairs.size());
  metrics["confidence_abs_error"] = mean_of(error, count);
  metrics["confidence_pred_mean"] = mean_of(mean, count);
  metrics["confidence_cumprod_bias"] = mean_of(bias, count);
  return metrics;
}

}  // namespace speculators
