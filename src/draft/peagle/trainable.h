// P-EAGLE for training: EAGLE-3's layers, all depths in one pass. Slots behind the first hold a mask token and a
// learned state in place of token and aux states. Source: reference algorithms.md 6 (upstream models/peagle).
// Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/peagle/config.h"
#include "draft/trainable.h"
#include "nn/loss_spec.h"

namespace speculators {

// How many slots of each depth are trained: of S seeds at most (S - d) * max(ratio^d, smallest ratio).
struct SlotSampling {
  int64_t num_depths = 8;  // K
  double down_sample_ratio = 0.7, down_sample_ratio_min = 0.2;
  int64_t max_anchors = 512;  // seeds per packed row
};

struct PEagleTrainingOptions {
  SlotSampling sampling;
  nn::LossSpec loss;
  torch::ScalarType compute_dtype = torch::kFloat32;  // of the matrix products; parameters stay fp32
  bool compat_upstream = false;                       // chains run over the end of their document
  bool plain_ops = false;  // dense masks and torch operations only: the twin that checks the fused path
};

// `vocabulary` must be there exactly when config.reduced_vocabulary(). New weights are drawn with `seed`.
// Throws UsageError for options out of range, DataError when a verifier tensor has another shape than the config says.
std::unique_ptr<TrainableDraft> make_trainable_peagle(const PEagleConfig& config, const PEagleTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
