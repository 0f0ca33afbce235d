// EAGLE-3 for training: one or few decoder layers over [embedding ; hidden], unrolled over TTT steps.
// Source: arXiv:2503.01840 section 3; reference algorithms.md 5 (upstream models/eagle3).
// Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/eagle3/config.h"
#include "draft/trainable.h"
#include "nn/loss_spec.h"

namespace speculators {

struct Eagle3TrainingOptions {
  int64_t ttt_steps = 3;
  double ttt_step_loss_decay = 1.0;
  nn::LossSpec loss;
  torch::ScalarType compute_dtype = torch::kFloat32;  // of the matrix products; parameters stay fp32
  bool compat_upstream = false;                       // chains run over the end of their document
  bool plain_ops = false;  // dense masks and torch operations only: the twin that checks the fused path
};

// `vocabulary` must be there exactly when config.reduced_vocabulary(). New weights are drawn with `seed`.
// Throws DataError when a verifier tensor has another shape than the config says.
std::unique_ptr<TrainableDraft> make_trainable_eagle3(const Eagle3Config& config, const Eagle3TrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
