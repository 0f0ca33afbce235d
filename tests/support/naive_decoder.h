// A decoder of the Llama family written for reading: one sequence, no cache, doubles, loops. What the verifiers are
// compared with in tests. Free of gtest.
// Dims: T tokens, Dv hidden size, Vv vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tests/support/tiny_verifier.h"

namespace speculators::testing {

struct NaiveOutput {
  std::vector<std::vector<std::vector<double>>> hidden;  // [num_layers + 1][T][Dv], by layer id
  std::vector<std::vector<double>> logits;               // [T][Vv]
};

// RoPE kinds default and linear.
NaiveOutput run_naive_decoder(const ModelConfig& config, const OwnedTensors& tensors,
                              std::span<const int32_t> token_ids);

}  // namespace speculators::testing
