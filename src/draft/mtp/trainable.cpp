#include "draft/mtp/trainable.h"

#include <nlohmann/json.hpp>

#include "draft/mtp/trainable_model.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

class TrainableMtp : public TrainableDraft {
 public:
  explicit TrainableMtp(MtpModel model) : model_(std::move(model)) {}

  LossResult forward(const TrainBatch& batch, uint64_t /*seed*/) override {  // MTP draws nothing
    const bool plain = model_.options.plain_ops || !batch.input_ids.is_cpu();
    return plain ? mtp_forward_plain(model_, batch) : mtp_forward(model_, batch);
  }

  std::vector<NamedParameter> parameters() override { return parameters_of(model_); }

  // Embedding and head stay with the verifier.
  std::vector<NamedParameter> saved_tensors() override {
    std::vector<NamedParameter> result;
    for (const NamedParameter& parameter : parameters()) result.push_back({parameter.name, parameter.value.detach()});
    return result;
  }

  Json config_fields() const override { return to_json(model_.config); }
  int64_t speculative_tokens() const override { return model_.options.num_steps; }
  // The last hidden state is all it reads.
  const std::vector<int64_t>& aux_layer_ids() const override { return no_aux_layers_; }

  TrainDocument prepare(TrainDocument document) const override {
    document.aux_hidden_states = document.aux_hidden_states.narrow(1, 0, 0);
    return document;
  }

  void load(const std::map<std::string, torch::Tensor>& tensors) override { load_parameters(parameters(), tensors); }

  double needed_flops(const TrainBatch& batch) const override { return mtp_needed_flops(model_, batch); }

 private:
  MtpModel model_;
  const std::vector<int64_t> no_aux_layers_;
};

}  // namespace

std::unique_ptr<TrainableDraft> make_trainable_mtp(const MtpConfig& config, const MtpTrainingOptions& options,
                                                   const VerifierTensors& verifier,
                                                   const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  const int64_t vocab = config.verifier.vocab_size;
  const FrozenShape shape{config.verifier.hidden_size, vocab, vocab};
  return std::make_unique<TrainableMtp>(
      make_mtp_model(config, options, make_frozen_tensors(verifier, vocabulary, shape), seed));
}

}  // namespace speculators
