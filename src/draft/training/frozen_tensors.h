// What a draft takes from its verifier and never trains: embedding, head rows of the draft vocabulary, final norm.
// Source: reference algorithms.md 3.1, 3.2. Dims: D hidden size, V draft vocabulary, Vv verifier vocabulary.
#pragma once

#include <torch/types.h>

#include <optional>

#include "draft/trainable.h"
#include "draft/vocabulary_map.h"
#include "nn/pair_losses.h"

namespace speculators {

struct FrozenTensors {
  torch::Tensor embed_tokens;  // fp32 [Vv, D]
  nn::FrozenHeads heads;
  torch::Tensor t2d, d2t;  // bool [Vv], int64 [V]; undefined for the full vocabulary
};

struct FrozenShape {
  int64_t hidden_size = 0, verifier_vocab_size = 0, draft_vocab_size = 0;
};

// Throws DataError naming each verifier tensor of another shape, or a vocabulary that does not fit.
FrozenTensors make_frozen_tensors(const VerifierTensors& verifier, const std::optional<VocabularyMap>& vocabulary,
                                  const FrozenShape& shape);

}  // namespace speculators
