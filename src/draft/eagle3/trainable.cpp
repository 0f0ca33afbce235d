#include "draft/eagle3/trainable.h"

#include <nlohmann/json.hpp>

#include "draft/eagle3/trainable_model.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

class TrainableEagle3 : public TrainableDraft {
 public:
  explicit TrainableEagle3(Eagle3Model model) : model_(std::move(model)) {}

  LossResult forward(const TrainBatch& batch, uint64_t /*seed*/) override {  // EAGLE-3 draws nothing
    const bool plain = model_.options.plain_ops || !batch.input_ids.is_cpu();
    return plain ? eagle3_forward_plain(model_, batch) : eagle3_forward(model_, batch);
  }

  std::vector<NamedParameter> parameters() override { return parameters_of(model_); }

  std::vector<NamedParameter> saved_tensors() override {
    std::vector<NamedParameter> result = {{"embed_tokens.weight", model_.network.frozen.embed_tokens}};
    for (const NamedParameter& parameter : parameters()) result.push_back({parameter.name, parameter.value.detach()});
    result.push_back({"lm_head.weight", model_.network.frozen.heads.lm_head});
    append_vocabulary(result, model_.network.frozen);
    return result;
  }

  Json config_fields() const override { return to_json(model_.config); }
  int64_t speculative_tokens() const override { return model_.options.ttt_steps; }
  const std::vector<int64_t>& aux_layer_ids() const override { return model_.config.aux_layer_ids; }

  TrainDocument prepare(TrainDocument document) const override { return shift_document(std::move(document)); }

  void load(const std::map<std::string, torch::Tensor>& tensors) override {
    load_parameters(parameters(), tensors);
    load_own_head(model_.network.frozen, tensors);
  }

  double needed_flops(const TrainBatch& batch) const override { return eagle3_needed_flops(model_, batch); }

 private:
  Eagle3Model model_;
};

}  // namespace

std::unique_ptr<TrainableDraft> make_trainable_eagle3(const Eagle3Config& config, const Eagle3TrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  return std::make_unique<TrainableEagle3>(
      make_eagle3_model(config, options, make_frozen_tensors(verifier, vocabulary, shape), seed));
}

}  // namespace speculators
