// Proposing: a draft in serving form, over the weights of a saved speculator. No libtorch here.
// The engine owns one DraftSequence per running request and tells it every verified row exactly once.
// Dims: K proposal length, A aux layers, Dv verifier hidden size, V draft vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "draft/proposal.h"

namespace speculators {

// What a draft keeps for one sequence (its KV cache of verified rows). Each draft derives its own.
class DraftSequence {
 public:
  virtual ~DraftSequence() = default;
};

// Rows verified since this sequence's last call, and what is wanted.
//   tokens  = x_first ... x_{first+n}  (n + 1 ids; the last is the newest token, which the verifier has not seen yet)
//   aux     = g_first ... g_{first+n-1}  [n, A*Dv]
// The first call has first = 0 and carries the whole prompt.
struct ProposalRequest {
  DraftSequence* sequence = nullptr;
  int64_t first = 0;
  std::span<const int32_t> tokens;
  std::span<const float> aux;
  int64_t num_tokens = 0;             // K; 0 only feeds the rows
  float temperature = 0;              // 0: greedy, point masses; else sample and report probabilities
  std::mt19937_64* random = nullptr;  // the request's own generator; used only when temperature > 0
  // A proposal ends before the first token whose estimated chance of being accepted, with all before it, is below this;
  // the estimate (a confidence head's, else the draft's largest probability) never hangs on the token itself. 0: never.
  float min_confidence = 0;
};

class Proposer {
 public:
  virtual ~Proposer() = default;
  virtual std::unique_ptr<DraftSequence> make_sequence() const = 0;
  // All requests in one batch; proposals in the same order.
  virtual std::vector<Proposal> propose(std::span<const ProposalRequest> requests) = 0;
  virtual const std::vector<int64_t>& aux_layer_ids() const = 0;
  virtual int64_t max_proposal_length() const = 0;  // as trained
  // Verifier id of each draft id; empty when the vocabularies are the same.
  virtual std::span<const int32_t> draft_to_verifier() const = 0;
};

}  // namespace speculators
