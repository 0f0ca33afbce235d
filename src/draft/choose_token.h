// The last step of proposing: from logits over the draft vocabulary to a token of a proposal.
// Dims: V draft vocabulary.
#pragma once

#include <span>

#include "draft/proposer.h"

namespace speculators {

// Appends one token to `proposal` and returns its verifier id: the first maximum at temperature 0; else a draw from
// softmax(logits / temperature), whose probabilities [V] are appended too. Overwrites `logits` [V].
int32_t choose_token(std::span<float> logits, const ProposalRequest& request,
                     std::span<const int32_t> draft_to_verifier, Proposal& proposal);

// The same from the scores [K] of a few candidates, verifier ids `ids` [K]: the first maximum, or a draw from
// softmax(scores / temperature), whose probabilities are reported over all V tokens, 0 elsewhere. Overwrites `scores`.
int32_t choose_candidate(std::span<const int32_t> ids, std::span<float> scores, const ProposalRequest& request,
                         int64_t vocab_size, Proposal& proposal);

// Whether a proposal ends before the token that these logits [V] give (ProposalRequest::min_confidence). Multiplies
// `chance`, 1 before the first token, by the largest probability of softmax(logits): about what the verifier accepts.
// It hangs on the distribution alone, never on the token drawn from it, so rejection sampling stays exact.
bool is_unlikely(std::span<const float> logits, const ProposalRequest& request, float& chance);

}  // namespace speculators
