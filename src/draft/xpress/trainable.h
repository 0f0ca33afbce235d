// XPress for training: DFlash's blocks and a causal refiner that corrects each slot's logits from the tokens before it.
// A step has up to five losses over the same logits: with the data's tokens before each slot, with the refiner's own of
// a few rounds, and of the uncorrected logits. Source: reference algorithms.md 8b (upstream models/xpress).
// Not thread-safe: one training thread owns a draft.
#pragma once

#include <memory>
#include <optional>

#include "draft/block/trainable_options.h"
#include "draft/trainable.h"
#include "draft/xpress/config.h"

namespace speculators {

struct XPressTrainingOptions : BlockTrainingOptions {
  double consistency_weight = 0.3;       // of the mean loss of the free-running rounds; 0: none are run
  int64_t consistency_passes = 3;        // rounds
  double base_anchor_weight = 0.6;       // of the uncorrected logits' loss; 0: left out
  bool base_anchor_full_weight = false;  // that loss without position weights
  bool ce_from_data = false;             // `ce` compares with the data's token, not with the verifier's best

  int64_t chunk_bytes = int64_t{24} << 20;  // of logits, in each of four buffers

  int64_t num_rounds() const { return consistency_weight > 0 ? consistency_passes : 0; }
  bool has_base_anchor() const { return base_anchor_weight > 0; }
  // The spec has a cross-entropy and its labels are the data's.
  bool has_hard_labels() const;
};

// `vocabulary` must be there exactly when config.reduced_vocabulary(). New weights are drawn with `seed`.
// Throws DataError when a verifier tensor has another shape than the config says, UsageError for an option out of range
// and for ce_from_data with a reduced vocabulary.
std::unique_ptr<TrainableDraft> make_trainable_xpress(const XPressConfig& config, const XPressTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed);

}  // namespace speculators
