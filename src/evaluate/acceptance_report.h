// AcceptanceReport: what speculation gained, counted over rounds; the last struct of the spine.
// acceptance length = 1 + accepted / rounds (bonus token included); acceptance rate at position i = accepted at i /
// reached i (every position before was accepted). Source: docs/glossary.md; vLLM's counters num_drafts,
// num_accepted_tokens(_per_pos).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"

namespace speculators {

struct AcceptanceReport {
  int64_t num_rounds = 0;  // rounds whose draft was asked, those without a proposal (too little confidence) included
  int64_t num_proposed = 0, num_accepted = 0;
  std::vector<int64_t> proposed_at;  // [K] rounds whose proposal had a token at position i
  std::vector<int64_t> reached_at;   // [K] of these, rounds that accepted every token before
  std::vector<int64_t> accepted_at;  // [K]

  void add(const RoundRecord& record);
  void add(const AcceptanceReport& other);
  double acceptance_length() const;              // 0 without rounds
  std::vector<double> acceptance_rates() const;  // [K], conditional
  std::vector<double> accepted_shares() const;   // [K], of all rounds that proposed at i (vLLM's per-position figure)
};

}  // namespace speculators
