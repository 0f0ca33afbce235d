#include "draft/xpress/trainable.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/block/trainable_draft.h"
#include "draft/training/parameters.h"
#include "draft/xpress/trainable_model.h"

namespace speculators {
namespace {

class TrainableXPress : public TrainableBlockDraft {
 public:
  explicit TrainableXPress(XPressModel model) : model_(std::move(model)) {}
  std::vector<NamedParameter> parameters() override { return parameters_of(model_); }
  Json config_fields() const override { return to_json(model_.config); }

 private:
  const BlockModel& block() const override { return model_.block; }
  FrozenTensors& frozen() override { return model_.block.frozen; }
  LossResult forward_fused(const TrainBatch& batch, const std::vector<int64_t>& anchors) override {
    return xpress_forward(model_, batch, anchors);
  }
  LossResult forward_plain(const TrainBatch& batch, const std::vector<int64_t>& anchors) override {
    return xpress_forward_plain(model_, batch, anchors);
  }
  double flops_of(const TrainBatch& batch, const std::vector<int64_t>& anchors) const override {
    return xpress_needed_flops(model_, batch, anchors);
  }

  XPressModel model_;
};

void check_options(const XPressConfig& config, const XPressTrainingOptions& options) {
  check_block_options(options);
  if (options.consistency_weight < 0) throw UsageError("--consistency-weight: expected at least 0");
  if (options.consistency_passes < 0) throw UsageError("--consistency-passes: expected at least 0");
  if (options.base_anchor_weight < 0) throw UsageError("--base-anchor-weight: expected at least 0");
  if (options.ce_from_data && config.reduced_vocabulary()) {
    throw UsageError(
        "--ce-from-data: expected the verifier's whole vocabulary, found a reduced one, which lacks "
        "tokens of the data; leave out --draft-vocab-size, or the flag");
  }
}

}  // namespace

bool XPressTrainingOptions::has_hard_labels() const {
  return ce_from_data && std::any_of(loss.terms.begin(), loss.terms.end(),
                                     [](const nn::LossTerm& term) { return term.kind == nn::LossKind::kCrossEntropy; });
}

std::unique_ptr<TrainableDraft> make_trainable_xpress(const XPressConfig& config, const XPressTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  check_options(config, options);
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  return std::make_unique<TrainableXPress>(
      make_xpress_model(config, options, make_frozen_tensors(verifier, vocabulary, shape), seed));
}

}  // namespace speculators
