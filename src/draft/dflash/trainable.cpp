#include "draft/dflash/trainable.h"

#include <nlohmann/json.hpp>

#include "draft/block/trainable_draft.h"
#include "draft/dflash/trainable_model.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

class TrainableDFlash : public TrainableBlockDraft {
 public:
  explicit TrainableDFlash(BlockModel model) : model_(std::move(model)) {}
  std::vector<NamedParameter> parameters() override { return parameters_of(model_); }
  Json config_fields() const override { return to_json(model_.config); }

 private:
  const BlockModel& block() const override { return model_; }
  FrozenTensors& frozen() override { return model_.frozen; }
  LossResult forward_fused(const TrainBatch& batch, const std::vector<int64_t>& anchors) override {
    return dflash_forward(model_, batch, anchors);
  }
  LossResult forward_plain(const TrainBatch& batch, const std::vector<int64_t>& anchors) override {
    return dflash_forward_plain(model_, batch, anchors);
  }
  double flops_of(const TrainBatch& batch, const std::vector<int64_t>& anchors) const override {
    return dflash_needed_flops(model_, batch, anchors);
  }

  BlockModel model_;
};

}  // namespace

std::unique_ptr<TrainableDraft> make_trainable_dflash(const DFlashConfig& config, const DFlashTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  check_block_options(options);
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  return std::make_unique<TrainableDFlash>(
      make_dflash_model(config, options, make_frozen_tensors(verifier, vocabulary, shape), seed));
}

}  // namespace speculators
