// DFlash for training: blocks of an anchor token and mask tokens, filled in one pass over projected verifier features.
// Source: reference algorithms.md 7 (upstream models/dflash). Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/block/trainable_options.h"
#include "draft/dflash/config.h"
#include "draft/trainable.h"

namespace speculators {

using DFlashTrainingOptions = BlockTrainingOptions;

// `vocabulary` must be there exactly when config.reduced_vocabulary(). New weights are drawn with `seed`.
// Throws DataError when a verifier tensor has another shape than the config says, UsageError for D-PACE without `ce`.
std::unique_ptr<TrainableDraft> make_trainable_dflash(const DFlashConfig& config, const DFlashTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
