// MTP for training: the verifier's one multi-token-prediction layer, applied K times to its own output, with
// teacher-forced tokens and full gradient through the recursion.
// Source: arXiv:2509.18362 (FastMTP); reference algorithms.md 9 (upstream models/mtp).
// Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/mtp/config.h"
#include "draft/trainable.h"

namespace speculators {

struct MtpTrainingOptions {
  int64_t num_steps = 3;          // K
  double step_weight_beta = 0.6;  // step k weighs beta^k, scaled to a sum of 1
  torch::ScalarType compute_dtype = torch::kFloat32;
  bool compat_upstream = false;  // labels may lie in the next document
  bool plain_ops = false;        // dense masks and torch operations only: the twin that checks the fused path
};

// There is no reduced vocabulary: DataError when `vocabulary` is given, or when a verifier tensor has another shape
// than the config says. New weights are drawn with `seed`; a native head's come through load().
std::unique_ptr<TrainableDraft> make_trainable_mtp(const MtpConfig& config, const MtpTrainingOptions& options,
                                                   const VerifierTensors& verifier,
                                                   const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
