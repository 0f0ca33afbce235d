// DFlash for training: blocks of an anchor token and mask tokens, filled in one pass over projected verifier features.
// Source: reference algorithms.md 7 (upstream models/dflash). Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/dflash/config.h"
#include "draft/trainable.h"
#include "nn/loss_spec.h"

namespace speculators {

enum class PositionWeight { kFixedExpDecay, kDPace };

struct DFlashTrainingOptions {
  int64_t max_anchors = 512;
  PositionWeight position_weight = PositionWeight::kFixedExpDecay;
  double decay_gamma = 4.0;
  double dpace_alpha = 0.5;
  nn::LossSpec loss;
  torch::ScalarType compute_dtype = torch::kFloat32;  // of the matrix products; parameters stay fp32
  bool compat_upstream = false;                       // blocks run over the end of their document
  bool plain_ops = false;  // dense masks and torch operations only: the twin that checks the fused path
};

// `vocabulary` must be there exactly when config.reduced_vocabulary(). New weights are drawn with `seed`.
// Throws DataError when a verifier tensor has another shape than the config says, UsageError for D-PACE without `ce`.
std::unique_ptr<TrainableDraft> make_trainable_dflash(const DFlashConfig& config, const DFlashTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
