#include "draft/dspark/targets.h"

#include <algorithm>
#include <cmath>

namespace speculators {
namespace {

// A product over the slots of a block from the first that predicts; a slot that is not supervised ends it.
class PrefixProduct {
 public:
  explicit PrefixProduct(int64_t first_slot) : next_slot_(first_slot) {}
  double multiply(int64_t slot, double factor) {
    value_ = slot == next_slot_ ? value_ * factor : 0.0;
    ++next_slot_;
    return value_;
  }

 private:
  int64_t next_slot_;
  double value_ = 1.0;
};

MetricPair mean_of(double sum, double count) { return {sum, std::max(count, 1.0)}; }

}  // namespace

std::map<std::string, MetricPair> confidence_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                     const ConfidenceOutcome& outcome) {
  const bool has_chance = outcome.chance.has_value();
  double rate = 0, length = 0, error = 0, mean = 0, bias = 0, num_blocks = 0;
  for (size_t begin = 0, end = 0; begin < plan.pairs.size(); begin = end) {
    end = plan.end_of_block(begin);
    PrefixProduct accepted(config.first_predicting_slot()), foreseen(config.first_predicting_slot());
    length += 1;  // the bonus token
    num_blocks += 1;
    for (size_t i = begin; i < end; ++i) {
      const double prefix = accepted.multiply(plan.pairs[i].offset, outcome.acceptance[i]);
      rate += outcome.acceptance[i];
      length += prefix;
      if (!has_chance) continue;
      error += std::abs((*outcome.chance)[i] - outcome.acceptance[i]);
      mean += (*outcome.chance)[i];
      bias += foreseen.multiply(plan.pairs[i].offset, (*outcome.chance)[i]) - prefix;
    }
  }
  const auto count = static_cast<double>(plan.pairs.size());
  std::map<std::string, MetricPair> metrics = {{"accept_rate", mean_of(rate, count)},
                                               {"accept_len", mean_of(length, num_blocks)}};
  if (!has_chance) return metrics;
  metrics["confidence_abs_error"] = mean_of(error, count);
  metrics["confidence_pred_mean"] = mean_of(mean, count);
  metrics["confidence_cumprod_bias"] = mean_of(bias, count);
  return metrics;
}

}  // namespace speculators
