// What a draft with a KV cache keeps for one sequence, and the checks on what the engine says about it.
// Dims: A aux layers, D hidden size.
#pragma once

#include "draft/proposer.h"
#include "kernels/kv_cache.h"

namespace speculators {

// Between two calls the cache holds the verified rows and nothing else.
class CachedSequence : public DraftSequence {
 public:
  explicit CachedSequence(KvPool& pool) : cache(pool) {}
  KvSequence cache;
};

KvSequence& cache_of(const ProposalRequest& request);
inline int64_t num_new_rows(const ProposalRequest& request) { return static_cast<int64_t>(request.tokens.size()) - 1; }

// Throws ShapeError unless the rows follow those in the cache, `aux` has one row of `aux_width` = A*D for each of them
// and one token more, and a sampled proposal has a generator; UsageError for a token id outside [0, vocab_size).
void check_request(const ProposalRequest& request, int64_t aux_width, int64_t vocab_size);

}  // namespace speculators
