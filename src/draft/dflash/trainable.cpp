#include "draft/dflash/trainable.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/dflash/targets.h"
#include "draft/dflash/trainable_model.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

class TrainableDFlash : public TrainableDraft {
 public:
  explicit TrainableDFlash(DFlashModel model) : model_(std::move(model)) {}

  LossResult forward(const TrainBatch& batch, uint64_t seed) override {
    const std::vector<int64_t> anchors = anchors_of(batch, seed);
    const bool plain = model_.options.plain_ops || !batch.input_ids.is_cpu();
    return plain ? dflash_forward_plain(model_, batch, anchors) : dflash_forward(model_, batch, anchors);
  }

  std::vector<NamedParameter> parameters() override {
    std::vector<NamedParameter> result;
    visit_parameters(model_, [&](const std::string& name, torch::Tensor& value) { result.push_back({name, value}); });
    return result;
  }

  // Neither the embedding nor a full head: both are the verifier's.
  std::vector<NamedParameter> saved_tensors() override {
    std::vector<NamedParameter> result;
    for (const NamedParameter& parameter : parameters()) result.push_back({parameter.name, parameter.value.detach()});
    if (model_.config.reduced_vocabulary()) result.push_back({"lm_head.weight", model_.frozen.heads.lm_head});
    append_vocabulary(result, model_.frozen);
    return result;
  }

  Json config_fields() const override { return to_json(model_.config); }
  int64_t speculative_tokens() const override { return model_.config.speculative_tokens(); }
  const std::vector<int64_t>& aux_layer_ids() const override { return model_.config.aux_layer_ids; }
  TrainDocument prepare(TrainDocument document) const override { return document; }  // no shift

  void load(const std::map<std::string, torch::Tensor>& tensors) override {
    load_parameters(parameters(), tensors);
    if (model_.config.reduced_vocabulary()) load_own_head(model_.frozen, tensors);
  }

  double needed_flops(const TrainBatch& batch) const override {
    return dflash_needed_flops(model_, batch, anchors_of(batch, /*seed=*/0));
  }

 private:
  std::vector<int64_t> anchors_of(const TrainBatch& batch, uint64_t seed) const {
    const int64_t hidden_size = model_.config.layer.hidden_size;
    return draw_anchors(read_batch_rows(batch, model_.num_aux() * hidden_size, hidden_size), model_.config,
                        model_.options, seed);
  }

  DFlashModel model_;
};

void check_options(const DFlashTrainingOptions& options) {
  if (options.max_anchors < 1) throw UsageError("--max-anchors: expected at least 1");
  if (options.decay_gamma <= 0) throw UsageError("--dflash-decay-gamma: expected more than 0");
  if (options.position_weight != PositionWeight::kDPace) return;
  if (!options.loss.is_cross_entropy_only()) {
    throw UsageError(
        "--per-position-loss-weight dpace: expected --loss-fn ce, found another; use fixed-exp-decay or ce");
  }
  if (options.dpace_alpha <= 0 || options.dpace_alpha > 1)
    throw UsageError("--dpace-alpha: expected a number in (0, 1]");
}

}  // namespace

std::unique_ptr<TrainableDraft> make_trainable_dflash(const DFlashConfig& config, const DFlashTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  check_options(options);
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  return std::make_unique<TrainableDFlash>(
      make_dflash_model(config, options, make_frozen_tensors(verifier, vocabulary, shape), seed));
}

}  // namespace speculators
