#include "draft/cached_sequence.h"

#include <fmt/format.h>

#include "base/errors.h"

namespace speculators {

KvSequence& cache_of(const ProposalRequest& request) { return static_cast<CachedSequence*>(request.sequence)->cache; }

void check_request(const ProposalRequest& request, int64_t aux_width, int64_t vocab_size) {
  if (!request.sequence || request.tokens.empty()) {
    throw ShapeError("proposal request: expected a sequence and at least the newest token, found none");
  }
  if (const int64_t length = cache_of(request).length(); request.first != length) {
    throw ShapeError(
        fmt::format("proposal request: first: expected {}, the rows told so far, found {}; every verified row "
                    "is told once",
                    length, request.first));
  }
  if (const int64_t expected = num_new_rows(request) * aux_width;
      static_cast<int64_t>(request.aux.size()) != expected) {
    throw ShapeError(fmt::format("proposal request: aux hidden states: expected {} x {} values for {} tokens, found {}",
                                 num_new_rows(request), aux_width, request.tokens.size(), request.aux.size()));
  }
  for (int32_t token : request.tokens) {
    if (token >= 0 && token < vocab_size) continue;
    throw UsageError(fmt::format("proposal request: expected token ids in [0, {}), found {}", vocab_size, token));
  }
  if (request.temperature > 0 && !request.random) {
    throw ShapeError("proposal request: expected a random generator for temperature > 0, found none");
  }
}

}  // namespace speculators
