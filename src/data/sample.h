// Sample: one tokenised conversation with its loss mask. The first struct of
// the spine.
#pragma once

#include <cstdint>
#include <vector>

namespace speculators {

struct Sample {
  std::vector<int32_t> token_ids;  // [T]
  std::vector<uint8_t> loss_mask;  // [T], 1 where the token was written by the
                                   // assistant (its terminator included)
};

}  // namespace speculators
