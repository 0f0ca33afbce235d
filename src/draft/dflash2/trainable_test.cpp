#include "draft/dflash2/trainable.h"

#include "base/errors.h"
#include "draft/dflash2/trainable_model.h"
#include "draft/dflash2/weights.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"
#include "draft/training/random_batch.h"

namespace speculators {
namespace {

DFlash2TrainingOptions golden_options(const Json& call) {
  DFlash2TrainingOptions options;
  options.max_anchors = call.at("max_anchors").get<int64_t>();
  options.decay_gamma = call.at("gamma").get<double>();
  options.selector_loss_alpha = call.at("selector_loss_alpha").get<double>();
  if (call.at("per_position_loss_weight") == "dpace") {
    options.position_weight = PositionWeight::kDPace;
    options.dpace_alpha = call.at("dpace_alpha").get<double>();
  }
  options.loss = nn::parse_loss_spec(call.at("loss_config").dump());
  options.compat_upstream = true;
  return options;
}

DFlash2Model golden_model(const golden::Case& c) {
  const ModelConfig layer = golden::layer_config(c);
  const DFlash2Config config = parse_dflash2_config(c.meta.at("algorithm_config"), layer, "golden case");
  const FrozenShape shape{layer.hidden_size, layer.vocab_size, config.draft_vocab_size};
  DFlash2Model model = make_dflash2_model(config, golden_options(c.meta.at("call")),
                                          make_frozen_tensors(golden::verifier_of(c), std::nullopt, shape), /*seed=*/1);
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

using GoldenDFlash2 = golden::GoldenTest;

TEST_P(GoldenDFlash2, PlainPathGivesUpstreamsNumbers) {
  DFlash2Model model = golden_model(c);
  golden::expect_golden(c, dflash2_forward_plain(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

TEST_P(GoldenDFlash2, FusedPathGivesUpstreamsNumbers) {
  DFlash2Model model = golden_model(c);
  golden::expect_golden(c, dflash2_forward(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

INSTANTIATE_TEST_SUITE_P(Own, GoldenDFlash2,
                         testing::Values(golden::CaseName{false, "dflash2_three_layers"},
                                         golden::CaseName{false, "dflash2_anchor_causal_dpace"}));
INSTANTIATE_TEST_SUITE_P(Shared, GoldenDFlash2,
                         testing::Values(golden::CaseName{true, "dflash2"},
                                         golden::CaseName{true, "dflash2_dpace_k3"}));

DFlash2Config small_config(int64_t num_layers = 2, bool sample_from_anchor = false) {
  DFlash2Config config;
  config.layer = random_batch::layer_config(num_layers, "qwen3");
  config.draft_vocab_size = config.layer.vocab_size;
  config.aux_layer_ids = {1, 2};
  config.block_size = 4;
  config.mask_token_id = 7;
  config.sample_from_anchor = sample_from_anchor;
  config.conv_group_size = 4;
  config.selector_rank = 3;
  config.selector_top_k = 5;
  return config;
}

// Fresh convolutions change nothing and pass no gradient to what they project: every parameter becomes noise.
std::unique_ptr<TrainableDraft> make_draft(const DFlash2Config& config, const DFlash2TrainingOptions& options = {}) {
  auto draft = make_trainable_dflash2(config, options, random_batch::verifier(), std::nullopt, /*seed=*/1);
  const at::NoGradGuard no_grad;
  at::Generator generator = at::detail::createCPUGenerator(3);
  for (NamedParameter& parameter : draft->parameters()) {
    if (parameter.name.find("conv") != std::string::npos) parameter.value.normal_(0.3, 0.3, generator);
    if (parameter.name.find("selector") != std::string::npos) parameter.value.normal_(0.0, 0.5, generator);
  }
  return draft;
}

void expect_fused_equals_plain(const DFlash2Config& config, DFlash2TrainingOptions options = {}) {
  const auto fused = make_draft(config, options);
  options.plain_ops = true;
  random_batch::expect_same_step(*fused, *make_draft(config, options), random_batch::batch(2));
}

TEST(DFlash2, FusedEqualsPlain) { expect_fused_equals_plain(small_config()); }
TEST(DFlash2, FusedEqualsPlainWithOneLayer) { expect_fused_equals_plain(small_config(1)); }
TEST(DFlash2, FusedEqualsPlainFromTheAnchorOn) { expect_fused_equals_plain(small_config(2, true)); }

TEST(DFlash2, FusedEqualsPlainWithAsManyTapsAsSlots) {
  DFlash2Config config = small_config(3);
  config.conv_kernel_size = 4;
  config.conv_group_size = 16;
  expect_fused_equals_plain(config);
}

TEST(DFlash2, FusedEqualsPlainWithOneTapAndOneCandidate) {
  DFlash2Config config = small_config();
  config.conv_kernel_size = config.selector_top_k = 1;
  expect_fused_equals_plain(config);
}

TEST(DFlash2, FusedEqualsPlainWithDPace) {
  DFlash2TrainingOptions options;
  options.position_weight = PositionWeight::kDPace;
  options.loss = nn::parse_loss_spec("ce");
  options.max_anchors = 9;
  options.selector_loss_alpha = 0.3;
  expect_fused_equals_plain(small_config(), options);
}

TEST(DFlash2, FusedEqualsPlainWithBlocksOverTheEndOfTheirDocument) {
  DFlash2TrainingOptions options;
  options.compat_upstream = true;
  expect_fused_equals_plain(small_config(), options);
}

// A fresh DFlash2 draft is a DFlash draft: convolutions are the identity.
TEST(DFlash2, FreshConvolutionsLeaveTheBlockAsItIs) {
  const DFlash2Config config = small_config();
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  const auto frozen = [&] { return make_frozen_tensors(random_batch::verifier(), std::nullopt, shape); };
  DFlash2Model model = make_dflash2_model(config, {}, frozen(), /*seed=*/1);
  const TrainBatch batch = random_batch::batch(2);
  const std::vector<int64_t> anchors = {1, 3, 4};
  const auto with = block_states_plain(model.block, batch, anchors);
  model.block.convolutions.clear();
  EXPECT_TRUE(with.allclose(block_states_plain(model.block, batch, anchors), 1e-6, 1e-6));
}

std::vector<std::string> metric_names(TrainableDraft& draft, const TrainBatch& batch) {
  std::vector<std::string> names;
  for (const auto& [name, pair] : draft.forward(batch, 1).metrics) names.push_back(name);
  return names;
}

TEST(DFlash2, NoSupervisedRowGivesZeroLossAndTheSameMetrics) {
  const TrainBatch nothing = random_batch::pack({random_batch::document(5, 5, 2, 1)}, 0);
  const auto draft = make_draft(small_config());
  EXPECT_EQ(draft->forward(nothing, 1).loss.item<float>(), 0.0f);
  EXPECT_EQ(metric_names(*draft, nothing), metric_names(*draft, random_batch::batch(2)));
}

TEST(DFlash2, SavesExactlyTheTensorsOfItsWeightTable) {
  std::map<std::string, std::vector<int64_t>> expected, found;
  for (const WeightSpec& spec : dflash2_weights(small_config())) {
    if (spec.required != WeightPresence::kNever) expected[spec.name] = spec.shape;
  }
  for (const NamedParameter& tensor : make_draft(small_config())->saved_tensors())
    found[tensor.name] = tensor.value.sizes().vec();
  EXPECT_EQ(found, expected);
}

TEST(DFlash2, ANegativeWeightOfTheSelectorLossIsAUsageError) {
  DFlash2TrainingOptions options;
  options.selector_loss_alpha = -1;
  EXPECT_THROW(make_draft(small_config(), options), UsageError);
}

// One layer, blocks of two, anchors 0, 1, 2 of three rows: blocks 0 and 1 have a supervised second slot. Multiply-adds
// by hand, beside those of a DFlash draft whose last layer computes whole blocks.
TEST(DFlash2, NeededFlopsAddsConvolutionsAndSelector) {
  DFlash2Config config = small_config(1), wider = config;
  config.block_size = wider.block_size = 2;
  wider.conv_group_size = 2;
  wider.selector_rank = 7;
  wider.selector_top_k = 6;
  const TrainBatch batch = random_batch::pack({random_batch::document(3, 0, 2, 1)}, 4);
  // Coefficients 2 sides x 2 taps x groups: 16 against 32, of the tokens seen and of four slots.
  std::set<int64_t> tokens = {config.mask_token_id};
  for (const int64_t row : {0, 1}) tokens.insert(batch.input_ids[row].item<int64_t>());
  const double projected = (static_cast<double>(tokens.size()) + 4) * 16 * (32 - 16);
  const double selector = 2 * (16 * (7 - 3) + 7 * 6 - 3 * 5), logits = 2 * 16 * (6 - 5);
  EXPECT_DOUBLE_EQ(make_draft(wider)->needed_flops(batch) - make_draft(config)->needed_flops(batch),
                   2 * (3 * (projected + selector) + logits));
}

}  // namespace
}  // namespace speculators
