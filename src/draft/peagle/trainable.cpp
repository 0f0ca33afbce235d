#include "draft/peagle/trainable.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/peagle/trainable_model.h"
#include "draft/training/parameters.h"

namespace speculators {
namespace {

class TrainablePEagle : public TrainableDraft {
 public:
  explicit TrainablePEagle(PEagleModel model) : model_(std::move(model)) {}

  LossResult forward(const TrainBatch& batch, uint64_t seed) override {
    const bool plain = model_.options.plain_ops || !batch.input_ids.is_cpu();
    const std::vector<DepthSlot> slots = slots_of(batch, seed);
    return plain ? peagle_forward_plain(model_, batch, slots) : peagle_forward(model_, batch, slots);
  }

  std::vector<NamedParameter> parameters() override { return parameters_of(model_); }

  std::vector<NamedParameter> saved_tensors() override {
    std::vector<NamedParameter> result;
    if (!model_.config.embed_requires_grad) result.push_back({"embed_tokens.weight", model_.embed_tokens});
    for (const NamedParameter& parameter : parameters()) result.push_back({parameter.name, parameter.value.detach()});
    result.push_back({"lm_head.weight", model_.network.frozen.heads.lm_head});
    append_vocabulary(result, model_.network.frozen);
    return result;
  }

  Json config_fields() const override { return to_json(model_.config); }
  int64_t speculative_tokens() const override { return model_.options.sampling.num_depths; }
  const std::vector<int64_t>& aux_layer_ids() const override { return model_.config.aux_layer_ids; }
  TrainDocument prepare(TrainDocument document) const override { return shift_document(std::move(document)); }

  void load(const std::map<std::string, torch::Tensor>& tensors) override {
    load_parameters(parameters(), tensors);
    load_own_head(model_.network.frozen, tensors);
    if (!model_.config.embed_requires_grad) load_frozen_embedding(tensors);
  }

  double needed_flops(const TrainBatch& batch) const override {
    return peagle_needed_flops(model_, batch, slots_of(batch, /*seed=*/0));
  }

 private:
  // One that was trained before it was frozen.
  void load_frozen_embedding(const std::map<std::string, torch::Tensor>& tensors) {
    const auto found = tensors.find("embed_tokens.weight");
    if (found == tensors.end()) return;
    NamedParameter own{found->first, model_.embed_tokens.clone()};
    load_parameters({own}, tensors);
    model_.embed_tokens = own.value;
  }

  std::vector<DepthSlot> slots_of(const TrainBatch& batch, uint64_t seed) const {
    const BatchRows rows = read_batch_rows(batch, model_.network.aux_width(), model_.network.hidden_size);
    return draw_slots(rows, model_.options.sampling, model_.options.compat_upstream, seed);
  }

  PEagleModel model_;
};

void check_ratio(const char* flag, double ratio) {
  if (ratio >= 0 && ratio <= 1) return;
  throw UsageError(fmt::format("--{}: expected a number in [0, 1], found {}", flag, ratio));
}

void check_sampling(const SlotSampling& sampling) {
  if (sampling.num_depths < 1) throw UsageError("--num-depths: expected at least 1");
  if (sampling.max_anchors < 1) throw UsageError("--max-anchors: expected at least 1");
  check_ratio("down-sample-ratio", sampling.down_sample_ratio);
  check_ratio("down-sample-ratio-min", sampling.down_sample_ratio_min);
}

}  // namespace

std::unique_ptr<TrainableDraft> make_trainable_peagle(const PEagleConfig& config, const PEagleTrainingOptions& options,
                                                      const VerifierTensors& verifier,
                                                      const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  check_sampling(options.sampling);
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  return std::make_unique<TrainablePEagle>(
      make_peagle_model(config, options, make_frozen_tensors(verifier, vocabulary, shape), seed));
}

}  // namespace speculators
