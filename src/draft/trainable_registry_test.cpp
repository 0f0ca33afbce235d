#include "draft/trainable_registry.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/options.h"
#include "draft/training/random_batch.h"

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ModelConfig verifier_config() {
  ModelConfig config = random_batch::layer_config(10);
  config.rope.rope_theta = 5e5;
  return config;
}

TrainableRequest request_for(const std::string& algorithm) {
  TrainableRequest request;
  request.algorithm = algorithm;
  request.verifier = verifier_config();
  request.tensors = random_batch::verifier();
  request.options.mask_token_id = 3;
  return request;
}

template <class Function>
std::string usage_error(const Function& f) {
  try {
    f();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainableRegistry, UnsetOptionsTakeTheAlgorithmsDefaults) {
  const DraftTrainingOptions eagle3 = resolve_options("eagle3", {}), dflash = resolve_options("dflash", {});
  EXPECT_EQ(*eagle3.num_layers, 1);
  EXPECT_EQ(*eagle3.draft_arch, "llama");
  EXPECT_EQ(*eagle3.loss_fn, "kl_div");
  EXPECT_TRUE(*eagle3.norm_before_fc && *eagle3.norm_output);
  EXPECT_EQ(*dflash.num_layers, 5);
  EXPECT_EQ(*dflash.draft_arch, "qwen3");
  EXPECT_EQ(*dflash.loss_fn, "ce");
  EXPECT_EQ(*dflash.block_size, 16);
  EXPECT_EQ(*dflash.per_position_loss_weight, "dpace");
}

TEST(TrainableRegistry, AGivenOptionStays) {
  DraftTrainingOptions options;
  options.num_layers = 2;
  options.norm_output = false;
  EXPECT_EQ(*resolve_options("eagle3", options).num_layers, 2);
  EXPECT_FALSE(*resolve_options("eagle3", options).norm_output);
}

TEST(TrainableRegistry, AnUnknownAlgorithmGetsTheNearestName) {
  EXPECT_THAT(usage_error([] { resolve_options("eagle2", {}); }), HasSubstr("did you mean eagle3"));
}

TEST(TrainableRegistry, FcNormExcludesNormBeforeFc) {
  DraftTrainingOptions options;
  options.fc_norm = true;
  EXPECT_THAT(usage_error([&] { resolve_options("eagle3", options); }), HasSubstr("--no-norm-before-fc"));
  options.norm_before_fc = false;
  EXPECT_TRUE(resolve_options("eagle3", options).fc_norm);
}

TEST(TrainableRegistry, EveryOptionHasUpstreamsFlagName) {
  DraftTrainingOptions options;
  std::vector<std::string> names;
  for (const Option& option : list_options(options).items) names.push_back(option.name);
  for (const char* name : {"num-layers",
                           "draft-arch",
                           "ttt-steps",
                           "max-anchors",
                           "block-size",
                           "loss-fn",
                           "dpace-alpha",
                           "norm-before-residual",
                           "sliding-window",
                           "full-attention-indices",
                           "dflash-decay-gamma",
                           "markov-rank",
                           "markov-head-type",
                           "enable-confidence-head",
                           "confidence-head-with-markov",
                           "confidence-head-alpha",
                           "xpress-rank",
                           "xpress-mlp-ratio",
                           "num-jacobi-passes",
                           "consistency-weight",
                           "consistency-passes",
                           "base-anchor-weight",
                           "base-anchor-full-weight",
                           "ce-from-data",
                           "conv-kernel-size",
                           "conv-group-size",
                           "selector-rank",
                           "selector-top-k",
                           "selector-loss-alpha",
                           "num-depths",
                           "down-sample-ratio",
                           "down-sample-ratio-min",
                           "num-speculative-steps",
                           "step-weight-beta"}) {
    EXPECT_THAT(names, testing::Contains(name));
  }
}

TEST(TrainableRegistry, ADraftsLayersAreTheVerifiersInTheDraftsArchitecture) {
  DraftTrainingOptions options = resolve_options("dflash", {});
  options.full_attention_indices = {4};
  const ModelConfig layer = make_draft_layer_config(verifier_config(), options);
  EXPECT_EQ(layer.model_type, "qwen3");
  EXPECT_EQ(layer.num_hidden_layers, 5);
  EXPECT_EQ(layer.rope.rope_theta, 5e5);
  EXPECT_THAT(layer.layer_types, ElementsAre("sliding_attention", "sliding_attention", "sliding_attention",
                                             "sliding_attention", "full_attention"));
  EXPECT_EQ(layer.sliding_window, 2048);
}

TEST(TrainableRegistry, ADraftWithoutSlidingLayersHasNoWindow) {
  DraftTrainingOptions options = resolve_options("eagle3", {});
  options.full_attention_indices = {0};
  EXPECT_FALSE(make_draft_layer_config(verifier_config(), options).sliding_window.has_value());
}

TEST(TrainableRegistry, HeadsThatDoNotFitTheWidthAreReplaced) {
  ModelConfig verifier = verifier_config();
  verifier.num_attention_heads = 6;  // 6 heads of 4 in a width of 16
  verifier.num_key_value_heads = 3;
  const ModelConfig layer = make_draft_layer_config(verifier, resolve_options("eagle3", {}));
  EXPECT_EQ(layer.num_attention_heads, 4);
  EXPECT_EQ(layer.num_key_value_heads, 4);
}

TEST(TrainableRegistry, AFullAttentionIndexBeyondTheLayersIsAUsageError) {
  DraftTrainingOptions options = resolve_options("eagle3", {});
  options.full_attention_indices = {1};
  EXPECT_THAT(usage_error([&] { make_draft_layer_config(verifier_config(), options); }), HasSubstr("[0, 1)"));
}

TEST(TrainableRegistry, MakesAnEagle3DraftWithDefaultAuxLayers) {
  const auto draft = make_trainable_draft(request_for("eagle3"));
  EXPECT_THAT(draft->aux_layer_ids(), ElementsAre(2, 5, 7));
  EXPECT_EQ(draft->speculative_tokens(), 3);
  EXPECT_EQ(draft->config_fields().at("draft_vocab_size"), random_batch::kVerifierVocab);
}

TEST(TrainableRegistry, MakesADFlashDraftWithAReducedVocabulary) {
  TrainableRequest request = request_for("dflash");
  request.vocabulary = random_batch::vocabulary();
  const auto draft = make_trainable_draft(request);
  EXPECT_EQ(draft->speculative_tokens(), 15);
  EXPECT_EQ(draft->config_fields().at("draft_vocab_size"), random_batch::kDraftVocab);
  EXPECT_EQ(draft->config_fields().at("mask_token_id"), 3);
}

TEST(TrainableRegistry, MakesADSparkDraftWithUpstreamsDefaults) {
  const auto draft = make_trainable_draft(request_for("dspark"));
  EXPECT_EQ(draft->speculative_tokens(), 8);
  const Json fields = draft->config_fields();
  EXPECT_EQ(fields.at("sample_from_anchor"), true);
  EXPECT_EQ(fields.at("sliding_window_non_causal"), false);
  EXPECT_EQ(fields.at("markov_rank"), 256);
  EXPECT_EQ(fields.at("markov_head_type"), "vanilla");
  EXPECT_EQ(fields.at("confidence_head_with_markov"), true);
  EXPECT_EQ(*resolve_options("dspark", {}).num_layers, 5);
  EXPECT_EQ(*resolve_options("dspark", {}).per_position_loss_weight, "fixed-exp-decay");
}

TEST(TrainableRegistry, MakesAnXPressDraftWithUpstreamsDefaults) {
  const auto draft = make_trainable_draft(request_for("xpress"));
  EXPECT_EQ(draft->speculative_tokens(), 15);
  const Json fields = draft->config_fields();
  EXPECT_EQ(fields.at("sample_from_anchor"), false);
  EXPECT_EQ(fields.at("xpress_rank"), 256);
  EXPECT_EQ(fields.at("xpress_mlp_ratio"), 2);
  EXPECT_EQ(fields.at("num_jacobi_passes"), 6);
  const DraftTrainingOptions options = resolve_options("xpress", {});
  EXPECT_EQ(*options.num_layers, 5);
  EXPECT_EQ(*options.block_size, 16);
  EXPECT_EQ(*options.loss_fn, R"({"ce": 0.1, "tv": 0.9})");
  EXPECT_EQ(*options.per_position_loss_weight, "fixed-exp-decay");
}

TEST(TrainableRegistry, XPressOptionsOutOfRangeAreUsageErrors) {
  TrainableRequest request = request_for("xpress");
  request.options.xpress_rank = 0;
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("--xpress-rank: expected at least 1"));
  request = request_for("xpress");
  request.options.consistency_passes = -1;
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("--consistency-passes: expected"));
  request = request_for("xpress");
  request.options.ce_from_data = true;
  request.vocabulary = random_batch::vocabulary();
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }),
              HasSubstr("--ce-from-data: expected the verifier's"));
}

TEST(TrainableRegistry, MakesADFlash2DraftWithUpstreamsDefaults) {
  const auto draft = make_trainable_draft(request_for("dflash2"));
  EXPECT_EQ(draft->speculative_tokens(), 7);
  const Json fields = draft->config_fields();
  EXPECT_EQ(fields.at("sample_from_anchor"), false);
  EXPECT_EQ(fields.at("sliding_window_non_causal"), true);
  EXPECT_EQ(fields.at("conv_kernel_size"), 2);
  EXPECT_EQ(fields.at("conv_group_size"), 16);
  EXPECT_EQ(fields.at("selector_rank"), 256);
  EXPECT_EQ(fields.at("selector_top_k"), 16);
  const DraftTrainingOptions options = resolve_options("dflash2", {});
  EXPECT_EQ(*options.num_layers, 5);
  EXPECT_EQ(*options.loss_fn, "kl_div");
  EXPECT_EQ(*options.per_position_loss_weight, "fixed-exp-decay");
}

TEST(TrainableRegistry, DFlash2OptionsOutOfRangeAreUsageErrors) {
  const auto error_of = [](const auto& change) {
    TrainableRequest request = request_for("dflash2");
    change(request);
    return usage_error([&] { make_trainable_draft(request); });
  };
  EXPECT_THAT(error_of([](TrainableRequest& r) { r.options.selector_top_k = 0; }),
              HasSubstr("--selector-top-k: expected at least 1, found 0"));
  EXPECT_THAT(error_of([](TrainableRequest& r) { r.options.conv_kernel_size = -1; }),
              HasSubstr("--conv-kernel-size: expected at least 1, found -1"));
  EXPECT_THAT(error_of([](TrainableRequest& r) { r.options.selector_loss_alpha = -0.5; }),
              HasSubstr("--selector-loss-alpha: expected at least 0"));
  EXPECT_THAT(error_of([](TrainableRequest& r) { r.vocabulary = random_batch::vocabulary(); }),
              HasSubstr("--draft-vocab-size: dflash2 expects the verifier's whole vocabulary"));
}

TEST(TrainableRegistry, AnUnknownMarkovHeadIsAUsageError) {
  TrainableRequest request = request_for("dspark");
  request.options.markov_head_type = "cubic";
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("--markov-head-type: expected vanilla"));
}

TEST(TrainableRegistry, AConfidenceHeadWithoutAMarkovHeadMustBeAskedFor) {
  TrainableRequest request = request_for("dspark");
  request.options.markov_rank = 0;
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("--no-confidence-head-with-markov"));
  request.options.confidence_head_with_markov = false;
  EXPECT_EQ(make_trainable_draft(request)->config_fields().at("markov_rank"), 0);
}

TEST(TrainableRegistry, MakesAPEagleDraftWithUpstreamsDefaults) {
  const auto draft = make_trainable_draft(request_for("peagle"));
  EXPECT_EQ(draft->speculative_tokens(), 8);
  const Json fields = draft->config_fields();
  EXPECT_EQ(fields.at("mask_token_id"), 3);
  EXPECT_EQ(fields.at("embed_requires_grad"), true);
  EXPECT_EQ(fields.at("norm_before_residual"), true);
  EXPECT_EQ(fields.at("norm_before_fc"), false);
  EXPECT_EQ(*resolve_options("peagle", {}).draft_arch, "qwen3");
}

TEST(TrainableRegistry, MakesAnMtpHeadWithUpstreamsDefaults) {
  const auto draft = make_trainable_draft(request_for("mtp"));
  EXPECT_EQ(draft->speculative_tokens(), 3);
  EXPECT_THAT(draft->aux_layer_ids(), testing::IsEmpty());
  EXPECT_EQ(draft->config_fields().at("num_nextn_predict_layers"), 1);
  EXPECT_EQ(layer_config_of(request_for("mtp")), verifier_config());
}

TEST(TrainableRegistry, AnMtpHeadGoesOnWithTheNativeWeights) {
  TrainableRequest request = request_for("mtp");
  for (const NamedParameter& parameter : make_trainable_draft(request)->parameters()) {
    request.native_weights[parameter.name] = parameter.value.detach() * 2;
  }
  const auto draft = make_trainable_draft(request);
  for (const NamedParameter& parameter : draft->parameters()) {
    EXPECT_TRUE(parameter.value.equal(request.native_weights.at(parameter.name))) << parameter.name;
  }
}

TEST(TrainableRegistry, ASavedMtpHeadKeepsItsSteps) {
  TrainableRequest request = request_for("mtp");
  request.options.num_speculative_steps = 5;
  const auto original = make_trainable_draft(request);
  Speculator speculator;
  speculator.algorithm = "mtp";
  speculator.config = original->config_fields();
  speculator.layer_config = verifier_config();
  speculator.speculative_tokens = original->speculative_tokens();
  const auto restored = [&](const DraftTrainingOptions& options) {
    return make_trainable_draft(speculator, options, random_batch::verifier(), std::nullopt, 1)->speculative_tokens();
  };
  EXPECT_EQ(restored({}), 5);
  EXPECT_EQ(restored({.num_speculative_steps = 2}), 2);
}

TEST(TrainableRegistry, AnMtpHeadHasNoReducedVocabulary) {
  TrainableRequest request = request_for("mtp");
  request.vocabulary = random_batch::vocabulary();
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("--draft-vocab-size: mtp expects"));
}

TEST(TrainableRegistry, AnMtpHeadTakesAtLeastOneStep) {
  TrainableRequest request = request_for("mtp");
  request.options.num_speculative_steps = 0;
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }),
              HasSubstr("--num-speculative-steps: expected at least 1, found 0"));
}

TEST(TrainableRegistry, AnMtpStepsWeightsMustBePositive) {
  TrainableRequest request = request_for("mtp");
  request.options.step_weight_beta = 0;
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }),
              HasSubstr("--step-weight-beta: expected above 0, found 0"));
}

TEST(TrainableRegistry, APEagleEmbeddingCanBeFrozen) {
  TrainableRequest request = request_for("peagle");
  request.options.embed_requires_grad = false;
  const auto draft = make_trainable_draft(request);
  EXPECT_EQ(draft->config_fields().at("embed_requires_grad"), false);
  EXPECT_EQ(draft->parameters()[0].name, "fc.weight");
}

TEST(TrainableRegistry, DFlashNeedsAMaskToken) {
  TrainableRequest request = request_for("dflash");
  request.options.mask_token_id.reset();
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("--mask-token-id"));
}

TEST(TrainableRegistry, AnUnknownComputeTypeIsAUsageError) {
  TrainableRequest request = request_for("eagle3");
  request.options.compute_dtype = "float8";
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("--compute-dtype"));
}

TEST(TrainableRegistry, ADraftConfigOfAnotherWidthIsAUsageError) {
  TrainableRequest request = request_for("eagle3");
  request.draft_config = random_batch::layer_config(1);
  request.draft_config->hidden_size = 32;
  EXPECT_THAT(usage_error([&] { make_trainable_draft(request); }), HasSubstr("hidden_size"));
}

TEST(TrainableRegistry, ASavedSpeculatorsShapeIsTakenFromItsConfig) {
  const auto original = make_trainable_draft(request_for("eagle3"));
  Speculator speculator;
  speculator.algorithm = "eagle3";
  speculator.config = original->config_fields();
  speculator.layer_config = make_draft_layer_config(verifier_config(), resolve_options("eagle3", {}));
  const auto again = make_trainable_draft(speculator, {}, random_batch::verifier(), std::nullopt, 1);
  std::map<std::string, torch::Tensor> weights;
  for (const NamedParameter& tensor : original->saved_tensors()) weights[tensor.name] = tensor.value;
  again->load(weights);
  EXPECT_EQ(again->parameters().size(), original->parameters().size());
  EXPECT_TRUE(again->parameters()[0].value.equal(original->parameters()[0].value));
}

}  // namespace
}  // namespace speculators
