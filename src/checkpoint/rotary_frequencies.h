// Radians per position of every pair of a head's channels, for the kinds of RoPE that Hugging Face configs name.
// Source: transformers 5, modeling_rope_utils; reference algorithms.md 4.3. Computed in fp32, as there.
// Dims: H head dim.
#pragma once

#include <vector>

#include "checkpoint/model_config.h"

namespace speculators {

struct RotaryFrequencies {
  std::vector<double> values;   // [H/2]
  double attention_factor = 1;  // cosines and sines are scaled by it (yarn)
};

// Kinds default, linear, dynamic, llama3 and yarn. Dynamic equals default up to max_position_embeddings, and nobody
// goes further here. Throws DataError for longrope and for a partial rotary factor.
RotaryFrequencies rotary_frequencies(const ModelConfig& config);

}  // namespace speculators
