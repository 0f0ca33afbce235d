// The three tensors that drafts take from the verifier's checkpoint: embedding, head, final norm. Their names differ
// between families. Source: reference algorithms.md 3.2 (upstream's utils/loading.py).
// Dims: Vv verifier vocabulary, D hidden size.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace speculators {

struct VerifierTensorViews {
  TensorView embed_tokens;                 // [Vv, D]
  TensorView lm_head;                      // [Vv, D]; the embedding when the checkpoint has no head (tied)
  const TensorView* final_norm = nullptr;  // [D]; null when there is none
};

// Throws DataError when no embedding is found or a shape is not as above.
VerifierTensorViews find_verifier_tensors(const TensorFile& verifier, int64_t vocab_size, int64_t hidden_size);

// The first candidate that is a name; else the shortest name that ends with it. Null when no candidate is found.
const TensorView* find_by_suffix(const TensorFile& file, const std::vector<std::string>& candidates);

}  // namespace speculators
