// What DFlash2 reports beside the block family's metrics: how well the candidates of a slot cover what the verifier
// wants, and how well the selector chooses among them. Source: reference algorithms.md 8a.6.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "draft/block/targets.h"

namespace speculators {

// By pair of the plan.
struct SelectorOutcome {
  std::vector<uint8_t> holds_choice;  // the verifier's choice is among the K likeliest
  std::vector<uint8_t> chosen;        // the selector's best candidate is the verifier's choice
  std::vector<float> target_mass;     // the verifier's probability of the candidates together
};

// unary_candidate_recall_at_<K>, unary_candidate_target_mass_at_<K>, unary_top_<K>_oracle_accepted_length,
// teacher_forced_selector_acc, and eal of the selector's choices.
std::map<std::string, MetricPair> selector_metrics(const BlockPlan& plan, const BlockConfig& config, int64_t top_k,
                                                   const SelectorOutcome& outcome);

}  // namespace speculators
