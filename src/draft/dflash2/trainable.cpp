#include "draft/dflash2/trainable.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/block/trainable_draft.h"
#include "draft/dflash2/trainable_model.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

class TrainableDFlash2 : public TrainableBlockDraft {
 public:
  explicit TrainableDFlash2(DFlash2Model model) : model_(std::move(model)) {}
  std::vector<NamedParameter> parameters() override { return parameters_of(model_); }
  Json config_fields() const override { return to_json(model_.config); }

 private:
  const BlockModel& block() const override { return model_.block; }
  FrozenTensors& frozen() override { return model_.block.frozen; }
  LossResult forward_fused(const TrainBatch& batch, const std::vector<int64_t>& anchors) override {
    return dflash2_forward(model_, batch, anchors);
  }
  LossResult forward_plain(const TrainBatch& batch, const std::vector<int64_t>& anchors) override {
    return dflash2_forward_plain(model_, batch, anchors);
  }
  double flops_of(const TrainBatch& batch, const std::vector<int64_t>& anchors) const override {
    return dflash2_needed_flops(model_, batch, anchors);
  }

  DFlash2Model model_;
};

}  // namespace

std::unique_ptr<TrainableDraft> make_trainable_dflash2(const DFlash2Config& config,
                                                       const DFlash2TrainingOptions& options,
                                                       const VerifierTensors& verifier,
                                                       const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  check_block_options(options);
  if (options.selector_loss_alpha < 0) throw UsageError("--selector-loss-alpha: expected at least 0");
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  return std::make_unique<TrainableDFlash2>(
      make_dflash2_model(config, options, make_frozen_tensors(verifier, vocabulary, shape), seed));
}

}  // namespace speculators
