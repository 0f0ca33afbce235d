// The inside of the engine: the steps of one round, in the order of Engine::round.
// Dims: K proposal length, Vv verifier vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/hidden_columns.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"

namespace speculators {

struct Engine::State {
  State(Verifier& the_verifier, Proposer* the_proposer, EngineOptions the_options);

  void propose(std::vector<Turn>& turns);
  VerifierOutput verify(std::vector<Turn>& turns);
  void read_logits(const std::vector<Turn>& turns, std::span<const float> logits, bool need_margins);
  void check_finite(const Turn& turn) const;
  Accepted accept(Turn& turn);
  RoundRecord append(Turn& turn, const Accepted& accepted, std::span<const float> hidden_states);
  int64_t proposal_length(const Sequence& sequence) const;

  Verifier& verifier;
  Proposer* proposer;  // null: plain decoding
  EngineOptions options;
  int64_t vocab_size;
  std::unique_ptr<KvPool> pool;
  Scheduler scheduler;
  std::vector<int64_t> aux_ids, all_ids;  // layers to keep when no request keeps states, and when one does
  HiddenColumns aux_columns, kept_columns;

  // Reused from round to round.
  VerifierBatch batch;
  std::vector<ProposalRequest> proposal_requests;
  std::vector<Turn*> asking;                           // of each proposal request
  std::vector<const Turn*> row_turns;                  // of each logit row
  std::vector<TopTwo> best_rows;                       // [logit rows]
  std::vector<float> distributions;                    // [logit rows, Vv]; greedy rows stay unused
  std::vector<std::vector<int32_t>> sampling_scratch;  // [logit rows]
  std::vector<int32_t> greedy_tokens;
};

}  // namespace speculators
