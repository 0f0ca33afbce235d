// DFlash2 for training: DFlash's blocks with a convolution along the slots around every sub-layer, and a selector that
// learns to choose among the likeliest tokens of a slot, knowing the one before.
// Source: reference algorithms.md 8a (upstream models/dflash2). Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/block/trainable_options.h"
#include "draft/dflash2/config.h"
#include "draft/trainable.h"

namespace speculators {

struct DFlash2TrainingOptions : BlockTrainingOptions {
  double selector_loss_alpha = 1.0;  // weight of the selector's loss
};

// There must be no `vocabulary`. New weights are drawn with `seed`. Throws DataError when a verifier tensor has another
// shape than the config says, UsageError for D-PACE without `ce` and for a negative weight.
std::unique_ptr<TrainableDraft> make_trainable_dflash2(const DFlash2Config& config,
                                                       const DFlash2TrainingOptions& options,
                                                       const VerifierTensors& verifier,
                                                       const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
