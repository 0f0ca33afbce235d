// Accepted: what the verifier made of one proposal. Torch-free and pure: distributions in, tokens out.
// Source: Leviathan et al. 2023 (arXiv:2211.17192) algorithm 1; reference algorithms.md section 20.
// Dims: K proposal length, Vv verifier vocabulary, V draft vocabulary.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "draft/proposal.h"

namespace speculators {

struct Accepted {
  std::vector<int32_t> tokens;  // the accepted prefix, then the bonus token: 1 ... K+1 ids
  int64_t num_accepted = 0;     // bonus token not counted
};

// `verifier` [K+1]: the verifier's own token after each prefix.
Accepted accept_greedy(std::span<const int32_t> proposal, std::span<const int32_t> verifier);

// Exact rejection sampling. `target` [K+1, Vv]: the verifier's distributions after temperature, top-k, top-p and min-p.
// `draft_to_verifier` maps draft ids of `proposal.probabilities`, ascending (empty: same ids).
Accepted accept_sampled(const Proposal& proposal, std::span<const float> target, int64_t vocab_size,
                        std::span<const int32_t> draft_to_verifier, std::mt19937_64& random);

}  // namespace speculators
