#include "draft/xpress/trainable.h"

#include "base/errors.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"
#include "draft/training/random_batch.h"
#include "draft/xpress/trainable_model.h"
#include "draft/xpress/weights.h"

namespace speculators {
namespace {

XPressTrainingOptions golden_options(const Json& call) {
  XPressTrainingOptions options;
  options.max_anchors = call.at("max_anchors").get<int64_t>();
  options.decay_gamma = call.at("gamma").get<double>();
  if (call.value("per_position_loss_weight", "") == "dpace") {
    options.position_weight = PositionWeight::kDPace;
    options.dpace_alpha = call.at("dpace_alpha").get<double>();
  }
  options.consistency_weight = call.at("consistency_weight").get<double>();
  options.consistency_passes = call.at("consistency_passes").get<int64_t>();
  options.base_anchor_weight = call.at("base_anchor_weight").get<double>();
  options.base_anchor_full_weight = call.value("base_anchor_full_weight", false);
  options.ce_from_data = call.value("ce_from_data", false);
  options.loss = nn::parse_loss_spec(call.at("loss_config").dump());
  options.compat_upstream = true;
  return options;
}

XPressModel golden_model(const golden::Case& c) {
  const ModelConfig layer = golden::layer_config(c);
  const XPressConfig config = parse_xpress_config(c.meta.at("algorithm_config"), layer, "golden case");
  const FrozenShape shape{layer.hidden_size, layer.vocab_size, config.draft_vocab_size};
  XPressModel model =
      make_xpress_model(config, golden_options(c.meta.at("call")),
                        make_frozen_tensors(golden::verifier_of(c), golden::vocabulary_of(c), shape), /*seed=*/1);
  load_parameters(parameters_of(model), c.group("w."));
  return model;
}

std::vector<int64_t> golden_anchors(const golden::Case& c) {
  std::vector<int64_t> anchors;
  for (int64_t i = 0; i < c.get("r.anchors").numel(); ++i) {
    if (c.get("r.anchor_valid")[i].item<bool>()) anchors.push_back(c.get("r.anchors")[i].item<int64_t>());
  }
  return anchors;
}

using GoldenXPress = golden::GoldenTest;

TEST_P(GoldenXPress, PlainPathGivesUpstreamsNumbers) {
  XPressModel model = golden_model(c);
  golden::expect_golden(c, xpress_forward_plain(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

TEST_P(GoldenXPress, FusedPathGivesUpstreamsNumbers) {
  XPressModel model = golden_model(c);
  golden::expect_golden(c, xpress_forward(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

INSTANTIATE_TEST_SUITE_P(Own, GoldenXPress,
                         testing::Values(golden::CaseName{false, "xpress_full_dpace_data"},
                                         golden::CaseName{false, "xpress_from_anchor_no_base"},
                                         golden::CaseName{false, "xpress_full_no_rounds"},
                                         golden::CaseName{false, "xpress_reduced_one_term"}));
INSTANTIATE_TEST_SUITE_P(Shared, GoldenXPress,
                         testing::Values(golden::CaseName{true, "xpress_reduced"},
                                         golden::CaseName{true, "xpress_full_vocab_ce_from_data"}));

XPressConfig small_config(bool sample_from_anchor = false) {
  XPressConfig config;
  config.layer = random_batch::layer_config(2, "qwen3");
  config.draft_vocab_size = random_batch::kDraftVocab;
  config.aux_layer_ids = {1, 2};
  config.block_size = 4;
  config.mask_token_id = 7;
  config.sample_from_anchor = sample_from_anchor;
  config.xpress_rank = 3;
  return config;
}

XPressConfig full_vocabulary(XPressConfig config) {
  config.draft_vocab_size = random_batch::kVerifierVocab;
  return config;
}

XPressTrainingOptions small_options(const char* loss = R"({"ce": 0.1, "tv": 0.9})") {
  XPressTrainingOptions options;
  options.loss = nn::parse_loss_spec(loss);
  return options;
}

std::unique_ptr<TrainableDraft> make_draft(const XPressConfig& config, const XPressTrainingOptions& options) {
  const auto vocabulary = config.reduced_vocabulary() ? std::optional(random_batch::vocabulary()) : std::nullopt;
  return make_trainable_xpress(config, options, random_batch::verifier(), vocabulary, /*seed=*/1);
}

// The mixer starts at zero: every part of the refiner is given a say.
void shake(TrainableDraft& draft) {
  const at::NoGradGuard no_grad;
  uint64_t seed = 40;
  for (const NamedParameter& parameter : draft.parameters()) {
    torch::Tensor value = parameter.value;
    if (parameter.name.starts_with("refiner_head.")) value.copy_(0.4 * random_batch::noise(value.sizes(), ++seed));
  }
}

void expect_fused_equals_plain(const XPressConfig& config, XPressTrainingOptions options) {
  const auto fused = make_draft(config, options);
  shake(*fused);
  options.plain_ops = true;
  random_batch::expect_same_step(*fused, *make_draft(config, options), random_batch::batch(2));
}

TEST(XPress, FusedEqualsPlain) { expect_fused_equals_plain(small_config(), small_options()); }
TEST(XPress, FusedEqualsPlainFromTheAnchor) { expect_fused_equals_plain(small_config(true), small_options("rkl")); }

// More blocks than a chunk takes; their ends cross documents.
TEST(XPress, FusedEqualsPlainInSeveralChunks) {
  XPressConfig config = small_config();
  config.block_size = 9;
  XPressTrainingOptions options = small_options();
  options.max_anchors = 100;
  options.chunk_bytes = 1;  // 64 rows
  options.compat_upstream = true;
  const auto fused = make_draft(config, options);
  shake(*fused);
  options.plain_ops = true;
  const TrainBatch batch =
      random_batch::pack({random_batch::document(40, 2, 2, 1), random_batch::document(30, 0, 2, 7)}, 2);
  random_batch::expect_same_step(*fused, *make_draft(config, options), batch);
}

TEST(XPress, FusedEqualsPlainWithTheDatasLabels) {
  for (const bool from_anchor : {false, true}) {
    XPressTrainingOptions options = small_options(R"({"ce": 0.5, "kl_div": 0.5})");
    options.ce_from_data = true;
    expect_fused_equals_plain(full_vocabulary(small_config(from_anchor)), options);
  }
}

TEST(XPress, FusedEqualsPlainWithDPace) {
  XPressTrainingOptions options = small_options("ce");
  options.position_weight = PositionWeight::kDPace;
  expect_fused_equals_plain(small_config(), options);
}

TEST(XPress, FusedEqualsPlainWithTheForcedLossAlone) {
  XPressTrainingOptions options = small_options();
  options.consistency_weight = options.base_anchor_weight = 0;
  expect_fused_equals_plain(small_config(), options);
}

TEST(XPress, TheUncorrectedLogitsCanCountEverySlotAlike) {
  XPressTrainingOptions options = small_options();
  options.base_anchor_full_weight = true;
  expect_fused_equals_plain(small_config(), options);
}

std::vector<std::string> metric_names(TrainableDraft& draft, const TrainBatch& batch) {
  std::vector<std::string> names;
  for (const auto& [name, pair] : draft.forward(batch, 1).metrics) names.push_back(name);
  return names;
}

TEST(XPress, NoSupervisedRowGivesZeroLossAndTheSameMetrics) {
  const TrainBatch nothing = random_batch::pack({random_batch::document(5, 5, 2, 1)}, 0);
  for (const bool plain : {false, true}) {
    XPressTrainingOptions options = small_options();
    options.plain_ops = plain;
    const auto draft = make_draft(small_config(), options);
    EXPECT_EQ(draft->forward(nothing, 1).loss.item<float>(), 0.0f);
    EXPECT_EQ(metric_names(*draft, nothing), metric_names(*draft, random_batch::batch(2)));
  }
}

TEST(XPress, WithoutGradientsTheNumbersAreTheSame) {
  const auto draft = make_draft(small_config(), small_options());
  shake(*draft);
  const LossResult training = draft->forward(random_batch::batch(2), 5);
  const at::NoGradGuard no_grad;
  const LossResult validation = draft->forward(random_batch::batch(2), 5);
  EXPECT_EQ(validation.loss.item<float>(), training.loss.item<float>());
  EXPECT_FALSE(validation.loss.requires_grad());
}

// Reference algorithms.md 3.3: the mixer starts as the identity, the bias small but not nothing.
TEST(XPress, ANewMixerIsZeroAndANewReadoutIsNot) {
  const auto draft = make_draft(small_config(), small_options());
  for (const NamedParameter& parameter : draft->parameters()) {
    if (!parameter.name.starts_with("refiner_head.")) continue;
    const float largest = parameter.value.abs().max().item<float>();
    EXPECT_EQ(largest == 0.0f, parameter.name == "refiner_head.mix_l") << parameter.name;
    EXPECT_LT(largest, 0.12f) << parameter.name;  // six standard deviations
  }
}

TEST(XPress, SavesExactlyTheTensorsOfItsWeightTable) {
  std::map<std::string, std::vector<int64_t>> expected, found;
  for (const WeightSpec& spec : xpress_weights(small_config())) {
    if (spec.required != WeightPresence::kNever) expected[spec.name] = spec.shape;
  }
  for (const NamedParameter& tensor : make_draft(small_config(), small_options())->saved_tensors())
    found[tensor.name] = tensor.value.sizes().vec();
  EXPECT_EQ(found, expected);
}

TEST(XPress, TheDatasLabelsNeedTheWholeVocabulary) {
  XPressTrainingOptions options = small_options();
  options.ce_from_data = true;
  EXPECT_THROW(make_draft(small_config(), options), UsageError);
}

TEST(XPress, NegativeWeightsAreUsageErrors) {
  for (const auto member : {&XPressTrainingOptions::consistency_weight, &XPressTrainingOptions::base_anchor_weight}) {
    XPressTrainingOptions options = small_options();
    options.*member = -1;
    EXPECT_THROW(make_draft(small_config(), options), UsageError);
  }
}

// The anchors 0 and 1 have a slot behind them in the document: two blocks of two slots, one pair each.
TEST(XPress, NeededFlopsAddsTheRefinersPasses) {
  XPressConfig config = small_config();
  config.block_size = 2;
  const TrainBatch batch = random_batch::pack({random_batch::document(3, 0, 2, 1)}, 4);
  XPressTrainingOptions one_round = small_options(), two_rounds = one_round;
  one_round.consistency_passes = 1;
  two_rounds.consistency_passes = 2;
  const double pairs = 2, slots = 4, mixed = 2 * 3, rank = 3, mlp = 6, vocab = 10;
  const double round = slots * rank * (rank + 3 * mlp) + mixed * rank + pairs * rank * vocab;
  EXPECT_DOUBLE_EQ(
      make_draft(config, two_rounds)->needed_flops(batch) - make_draft(config, one_round)->needed_flops(batch),
      3 * 2 * round);
}

}  // namespace
}  // namespace speculators
