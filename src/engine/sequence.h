// One running request. Invariant between rounds, once its prompt is in the cache: the cache holds every token but the
// newest, tokens.size() == kv.length() + 1.
// Dims: A aux layers, Dv verifier hidden size.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "engine/engine.h"
#include "kernels/kv_cache.h"

namespace speculators {

struct Sequence {
  Sequence(Request request, KvPool& pool, int64_t max_length);

  Request request;
  KvSequence kv;
  std::vector<int32_t> tokens;  // prompt, then answer; while being verified also the proposal
  int64_t max_length = 0;       // prompt and answer together
  std::mt19937_64 random;
  std::unique_ptr<DraftSequence> draft;  // null: plain decoding
  int64_t num_drafted_rows = 0;          // verified rows that the proposer was told
  std::vector<float> aux;                // [kv.length() - num_drafted_rows, A*Dv], those it was not told yet
  std::vector<float> hidden_states;      // [kv.length(), len(layer ids), Dv] when the request keeps them
  bool stopped = false;                  // a stop token came

  int64_t prompt_length() const { return static_cast<int64_t>(request.prompt.size()); }
  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t prompt_left() const { return std::max<int64_t>(0, prompt_length() - kv.length()); }
  bool answered() const { return stopped || length() >= max_length; }
  // Kept states cover the newest token too, so such a sequence takes one more row after its answer.
  bool needs_last_row() const { return request.keep_hidden_states && kv.length() < length(); }
  bool finished() const { return answered() && !needs_last_row(); }
};

// What one sequence does in one round.
struct Turn {
  Sequence* sequence = nullptr;
  int64_t num_prompt_rows = 0;  // > 0: this part of its prompt
  bool asked = false;           // the draft was asked for a proposal
  Proposal proposal;            // else the proposal; empty for plain decoding
  int64_t kv_before = 0;        // cached tokens before the pass
  int64_t first_row = 0;        // of this sequence in the batch
  int64_t num_rows = 0;
  int64_t first_logit_row = 0;
  int64_t num_logit_rows = 0;  // 0: inside a prompt, or the newest token behind an answer
};

}  // namespace speculators
