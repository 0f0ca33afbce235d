// Proposal: what a draft offers in one round for one sequence. Ids are verifier ids (d2t already applied).
// Dims: K proposal length, V draft vocabulary.
#pragma once

#include <cstdint>
#include <vector>

namespace speculators {

struct Proposal {
  std::vector<int32_t> tokens;  // [K]
  // The distribution each token was drawn from, over the draft vocabulary: [K, V]. Empty: every token is a point mass
  // (drafted greedily), which rejection sampling handles exactly as well.
  std::vector<float> probabilities;
};

}  // namespace speculators
