// The engine: rounds of propose, verify, accept for many sequences at once, each at its own length. With no proposer it
// is plain decoding: the same round with empty proposals. Token ids in, token ids out; knows no tokenizer and no HTTP.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "draft/proposer.h"
#include "engine/accepted.h"
#include "engine/sampling.h"
#include "verifier/verifier.h"

namespace speculators {

struct Request {
  int64_t id = 0;               // the caller's own
  std::vector<int32_t> prompt;  // at least one token
  int64_t max_tokens = 0;
  std::vector<int32_t> stop_token_ids;  // the stop token is part of the output
  SamplingParams sampling;
  bool keep_hidden_states = false;  // Finished::hidden_states is filled
};

struct Finished {
  int64_t id = 0;
  std::vector<int32_t> tokens;       // answer only
  bool stopped = false;              // a stop token came; else max_tokens or the context ended it
  std::vector<float> hidden_states;  // [prompt + answer, len(layer ids), Dv] when kept
};

// One sequence's part of one round, for observers.
struct RoundRecord {
  int64_t request_id = 0;
  bool asked = false;  // the draft was asked for a proposal; it may have declined
  int64_t num_proposed = 0;
  int64_t num_accepted = 0;         // those behind a stop token are counted, as vLLM does
  std::span<const int32_t> tokens;  // what the answer gained
  double smallest_margin = 0;       // greedy only: least gap between best and second logit among the kept tokens
  bool first = false;               // the prompt's own token: no round of the acceptance length
};

// Seconds of one round.
struct RoundTimes {
  double propose = 0, verify = 0, total = 0;
  int64_t num_sequences = 0, num_rows = 0;
  bool prefill = false;  // some sequence was in its prompt
};

struct EngineOptions {
  int64_t proposal_length = -1;           // K; -1: as the speculator was trained; 0: plain
  double min_confidence = 0;              // where proposals end early (ProposalRequest); 0: never
  int64_t max_sequences = 8;              // running at once; the rest waits
  int64_t prefill_chunk = 512;            // prompt rows per pass
  std::vector<int64_t> hidden_layer_ids;  // for keep_hidden_states
};

class Engine {
 public:
  // Neither is owned. `proposer` may be null.
  Engine(Verifier& verifier, Proposer* proposer, EngineOptions options);
  ~Engine();

  void submit(Request request);  // throws UsageError for an impossible request
  // Forgets a waiting or running request; it is not returned. False when there is none. Not from an observer.
  bool cancel(int64_t request_id);
  bool idle() const;
  int64_t num_running() const;
  int64_t num_waiting() const;
  // One round over everything that runs: schedule, propose, verify, accept, append. Returns what finished.
  std::vector<Finished> round();

  // Observers of rounds; called in order on the calling thread.
  std::function<void(const RoundRecord&)> on_sequence;
  std::function<void(const RoundTimes&)> on_round;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace speculators
