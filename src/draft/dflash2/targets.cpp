#include "draft/dflash2/targets.h"

#include <fmt/format.h>

namespace speculators {

std::map<std::string, MetricPair> selector_metrics(const BlockPlan& plan, const BlockConfig& config, int64_t top_k,
                                                   const SelectorOutcome& outcome) {
  MetricPair recall, mass, accuracy;
  recall.total = mass.total = static_cast<double>(plan.pairs.size());
  std::vector<uint8_t> hits;  // serving does not have a candidate that training put in
  for (size_t i = 0; i < plan.pairs.size(); ++i) {
    hits.push_back(outcome.chosen[i] && outcome.holds_choice[i]);
    recall.sum += outcome.holds_choice[i];
    mass.sum += outcome.target_mass[i];
    accuracy.sum += hits[i];
    accuracy.total += outcome.holds_choice[i];
  }
  return {
      {fmt::format("unary_candidate_recall_at_{}", top_k), recall},
      {fmt::format("unary_candidate_target_mass_at_{}", top_k), mass},
      // Counted from slot 1 on, whether or not the anchor's slot predicts.
      {fmt::format("unary_top_{}_oracle_accepted_length", top_k), accepted_length(plan, 1, outcome.holds_choice)},
      {"teacher_forced_selector_acc", accuracy},
      {"eal", accepted_length(plan, config.first_predicting_slot(), hits)},
  };
}

}  // namespace speculators
