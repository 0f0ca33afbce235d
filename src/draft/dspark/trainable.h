// DSpark for training: DFlash's blocks, a Markov head that corrects each slot's logits from the token before it, and a
// confidence head that learns how likely a slot's token is accepted. Source: reference algorithms.md 8 (upstream
// models/dspark). Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/block/trainable_options.h"
#include "draft/dspark/config.h"
#include "draft/trainable.h"

namespace speculators {

struct DSparkTrainingOptions : BlockTrainingOptions {
  double confidence_head_alpha = 1.0;  // weight of the confidence head's loss
};

// `vocabulary` must be there exactly when config.reduced_vocabulary(). New weights are drawn with `seed`.
// Throws DataError when a verifier tensor has another shape than the config says, UsageError for D-PACE without `ce`.
std::unique_ptr<TrainableDraft> make_trainable_dspark(const DSparkConfig& config, const DSparkTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
