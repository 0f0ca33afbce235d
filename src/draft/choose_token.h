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

}  // namespace speculators
