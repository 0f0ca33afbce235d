#include "draft/dflash/trainable.h"

#include <cmath>

#include "base/errors.h"
#include "draft/block/weights.h"
#include "draft/dflash/trainable_model.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"
#include "draft/training/random_batch.h"

namespace speculators {
namespace {

BlockModel golden_model(const golden::Case& c, bool compat_upstream) {
  DFlashConfig config;
  const Json& fields = c.meta.at("algorithm_config");
  const Json& call = c.meta.at("call");
  config.layer = golden::layer_config(c);
  config.draft_vocab_size = c.get("w.lm_head.weight").size(0);
  config.aux_layer_ids = fields.at("aux_hidden_state_layer_ids").get<std::vector<int64_t>>();
  config.block_size = fields.at("block_size").get<int64_t>();
  config.mask_token_id = fields.at("mask_token_id").get<int64_t>();
  config.sample_from_anchor = fields.at("sample_from_anchor").get<bool>();
  config.sliding_window_non_causal = fields.at("sliding_window_non_causal").get<bool>();
  DFlashTrainingOptions options;
  options.max_anchors = call.at("max_anchors").get<int64_t>();
  options.decay_gamma = call.at("gamma").get<double>();
  if (call.value("per_position_loss_weight", "") == "dpace") {
    options.position_weight = PositionWeight::kDPace;
    options.dpace_alpha = call.at("dpace_alpha").get<double>();
  }
  options.loss = nn::parse_loss_spec(call.at("loss_config").dump());
  options.compat_upstream = compat_upstream;
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  BlockModel model = make_dflash_model(
      config, options, make_frozen_tensors(golden::verifier_of(c), golden::vocabulary_of(c), shape), /*seed=*/1);
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

using GoldenDFlash = golden::GoldenTest;

TEST_P(GoldenDFlash, PlainPathGivesUpstreamsNumbers) {
  BlockModel model = golden_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, dflash_forward_plain(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

TEST_P(GoldenDFlash, FusedPathGivesUpstreamsNumbers) {
  BlockModel model = golden_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, dflash_forward(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

TEST_P(GoldenDFlash, DrawsUpstreamsAnchorsFromUpstreamsSeed) {
  const BlockModel model = golden_model(c, /*compat_upstream=*/true);
  const TrainBatch batch = golden::batch_of(c);
  const BatchRows rows = read_batch_rows(batch, batch.aux_hidden_states.size(1), batch.last_hidden_states.size(1));
  EXPECT_EQ(draw_anchors(rows, model.config, model.options, c.meta.at("torch_seed_before_forward").get<uint64_t>()),
            golden_anchors(c));
}

INSTANTIATE_TEST_SUITE_P(Own, GoldenDFlash,
                         testing::Values(golden::CaseName{false, "dflash_full_dpace"},
                                         golden::CaseName{false, "dflash_reduced_sliding"},
                                         golden::CaseName{false, "dflash_anchor_one_layer"}));
INSTANTIATE_TEST_SUITE_P(Shared, GoldenDFlash,
                         testing::Values(golden::CaseName{true, "dflash_dpace"},
                                         golden::CaseName{true, "dflash_fixed_sfa_noncausal"},
                                         golden::CaseName{true, "dflash_invalid_blocks"}));

TEST(DFlash, StrictDocumentsGiveAnotherLossThanUpstreamOnTheSameAnchors) {
  const golden::Case c = golden::read_case(golden::folder_of({false, "dflash_full_dpace"}), "dflash_full_dpace");
  BlockModel model = golden_model(c, /*compat_upstream=*/false);
  const double loss = dflash_forward(model, golden::batch_of(c), golden_anchors(c)).loss.item<double>();
  EXPECT_GT(std::abs(loss - c.meta.at("loss").get<double>()), 1e-3);
}

DFlashConfig small_config(int64_t num_layers) {
  DFlashConfig config;
  config.layer = random_batch::layer_config(num_layers, "qwen3");
  config.draft_vocab_size = random_batch::kDraftVocab;
  config.aux_layer_ids = {1, 2};
  config.block_size = 4;
  config.mask_token_id = 7;
  return config;
}

std::unique_ptr<TrainableDraft> make_draft(const DFlashConfig& config, DFlashTrainingOptions options = {},
                                           uint64_t seed = 1) {
  return make_trainable_dflash(config, options, random_batch::verifier(), random_batch::vocabulary(), seed);
}

void expect_fused_equals_plain(const DFlashConfig& config, DFlashTrainingOptions options) {
  const auto fused = make_draft(config, options);
  options.plain_ops = true;
  random_batch::expect_same_step(*fused, *make_draft(config, options), random_batch::batch(2));
}

TEST(DFlash, FusedEqualsPlainWithinDocuments) { expect_fused_equals_plain(small_config(2), {}); }

TEST(DFlash, FusedEqualsPlainWithWindowsOnEveryLayerAndTheAnchorSampled) {
  DFlashConfig config = small_config(3);
  config.layer.layer_types.assign(3, "sliding_attention");
  config.layer.sliding_window = 2;
  config.sample_from_anchor = true;
  expect_fused_equals_plain(config, {});
}

TEST(DFlash, FusedEqualsPlainWithDPace) {
  DFlashTrainingOptions options;
  options.position_weight = PositionWeight::kDPace;
  options.loss = nn::parse_loss_spec("ce");
  options.max_anchors = 9;
  expect_fused_equals_plain(small_config(1), options);
}

TEST(DFlash, NoSupervisedRowGivesZeroLoss) {
  const auto result =
      make_draft(small_config(1))->forward(random_batch::pack({random_batch::document(5, 5, 2, 1)}, 0), 1);
  EXPECT_EQ(result.loss.item<float>(), 0.0f);
  EXPECT_EQ(result.metrics.at("eal").total, 0);
  result.loss.backward();
}

TEST(DFlash, TheSeedDecidesTheAnchors) {
  DFlashTrainingOptions options;
  options.max_anchors = 3;
  const auto draft = make_draft(small_config(1), options);
  const auto loss = [&](uint64_t seed) { return draft->forward(random_batch::batch(2), seed).loss.item<double>(); };
  EXPECT_EQ(loss(1), loss(1));
  EXPECT_NE(loss(1), loss(4));
}

TEST(DFlash, PrepareDoesNotShift) {
  const auto document = random_batch::document(5, 2, 2, 1);
  EXPECT_TRUE(make_draft(small_config(1))->prepare(document).input_ids.equal(document.input_ids));
}

TEST(DFlash, SavesExactlyTheTensorsOfItsWeightTable) {
  std::map<std::string, std::vector<int64_t>> expected, found;
  for (const WeightSpec& spec : block_weight_table(small_config(2))) {
    if (spec.required != WeightPresence::kNever) expected[spec.name] = spec.shape;
  }
  for (const NamedParameter& tensor : make_draft(small_config(2))->saved_tensors())
    found[tensor.name] = tensor.value.sizes().vec();
  EXPECT_EQ(found, expected);
}

TEST(DFlash, DPaceNeedsCrossEntropy) {
  DFlashTrainingOptions options;
  options.position_weight = PositionWeight::kDPace;
  EXPECT_THROW(make_draft(small_config(1), options), UsageError);
}

TEST(DFlash, DPaceNeedsAnAlphaInRange) {
  DFlashTrainingOptions options;
  options.position_weight = PositionWeight::kDPace;
  options.loss = nn::parse_loss_spec("ce");
  options.dpace_alpha = 0;
  EXPECT_THROW(make_draft(small_config(1), options), UsageError);
}

// One document of 3 rows, all supervised, blocks of 2, one layer: anchors 0 and 1, each with one predicting slot.
TEST(DFlash, NeededFlopsCountsEachProductOnce) {
  DFlashConfig config = small_config(1);
  config.block_size = 2;
  const auto document = random_batch::document(3, 0, 2, 1);
  document.input_ids.copy_(at::arange(3));  // three distinct tokens, none the mask token
  const double d = 16, aux = 32, q = 16, kv = 16, mlp = 20, vocab = 10, pairs = 2, targets = 2, context = 1, tokens = 3;
  const double heads = 2 * (targets + 2 * pairs) * d * vocab, fc = 2 * 2 * context * aux * d;
  const double slots = 2 * 2 * tokens * d * (q + kv), base = 3 * 2 * context * d * kv;
  const double tail = 3 * 2 * pairs * (q * d + 3 * d * mlp), attention = 6 * 2 * (2 + 1 + 2) * 4 * 4;
  EXPECT_DOUBLE_EQ(make_draft(config)->needed_flops(random_batch::pack({document}, 4)),
                   heads + fc + slots + base + tail + attention);
}

}  // namespace
}  // namespace speculators
