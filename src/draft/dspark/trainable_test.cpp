#include "draft/dspark/trainable.h"

#include "base/errors.h"
#include "draft/dspark/trainable_model.h"
#include "draft/dspark/weights.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"
#include "draft/training/random_batch.h"

namespace speculators {
namespace {

DSparkTrainingOptions golden_options(const Json& call) {
  DSparkTrainingOptions options;
  options.max_anchors = call.at("max_anchors").get<int64_t>();
  options.decay_gamma = call.at("gamma").get<double>();
  options.confidence_head_alpha = call.at("confidence_head_alpha").get<double>();
  if (call.value("per_position_loss_weight", "") == "dpace") {
    options.position_weight = PositionWeight::kDPace;
    options.dpace_alpha = call.at("dpace_alpha").get<double>();
  }
  options.loss = nn::parse_loss_spec(call.at("loss_config").dump());
  options.compat_upstream = true;
  return options;
}

DSparkModel golden_model(const golden::Case& c) {
  const ModelConfig layer = golden::layer_config(c);
  const DSparkConfig config = parse_dspark_config(c.meta.at("algorithm_config"), layer, "golden case");
  const FrozenShape shape{layer.hidden_size, layer.vocab_size, config.draft_vocab_size};
  DSparkModel model =
      make_dspark_model(config, golden_options(c.meta.at("call")),
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

using GoldenDSpark = golden::GoldenTest;

TEST_P(GoldenDSpark, PlainPathGivesUpstreamsNumbers) {
  DSparkModel model = golden_model(c);
  golden::expect_golden(c, dspark_forward_plain(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

TEST_P(GoldenDSpark, FusedPathGivesUpstreamsNumbers) {
  DSparkModel model = golden_model(c);
  golden::expect_golden(c, dspark_forward(model, golden::batch_of(c), golden_anchors(c)), parameters_of(model));
}

INSTANTIATE_TEST_SUITE_P(Own, GoldenDSpark,
                         testing::Values(golden::CaseName{false, "dspark_vanilla_full_dpace"},
                                         golden::CaseName{false, "dspark_gated_no_confidence"},
                                         golden::CaseName{false, "dspark_rnn_behind_anchor"}));
INSTANTIATE_TEST_SUITE_P(Shared, GoldenDSpark,
                         testing::Values(golden::CaseName{true, "dspark_vanilla"},
                                         golden::CaseName{true, "dspark_gated"}, golden::CaseName{true, "dspark_rnn"}));

DSparkConfig small_config(MarkovHeadType type, bool sample_from_anchor = true) {
  DSparkConfig config;
  config.layer = random_batch::layer_config(2, "qwen3");
  config.draft_vocab_size = random_batch::kDraftVocab;
  config.aux_layer_ids = {1, 2};
  config.block_size = 4;
  config.mask_token_id = 7;
  config.sample_from_anchor = sample_from_anchor;
  config.markov_rank = 3;
  config.markov_head_type = type;
  return config;
}

std::unique_ptr<TrainableDraft> make_draft(const DSparkConfig& config, DSparkTrainingOptions options = {}) {
  return make_trainable_dspark(config, options, random_batch::verifier(), random_batch::vocabulary(), /*seed=*/1);
}

void expect_fused_equals_plain(const DSparkConfig& config, DSparkTrainingOptions options = {}) {
  const auto fused = make_draft(config, options);
  options.plain_ops = true;
  random_batch::expect_same_step(*fused, *make_draft(config, options), random_batch::batch(2));
}

TEST(DSpark, FusedEqualsPlainWithTheVanillaHead) { expect_fused_equals_plain(small_config(MarkovHeadType::kVanilla)); }
TEST(DSpark, FusedEqualsPlainWithTheGatedHead) {
  expect_fused_equals_plain(small_config(MarkovHeadType::kGated, false));
}
TEST(DSpark, FusedEqualsPlainWithTheRecurrentHead) { expect_fused_equals_plain(small_config(MarkovHeadType::kRnn)); }
// The anchor's slot predicts nothing, but the cell reads it.
TEST(DSpark, FusedEqualsPlainWithTheRecurrentHeadBehindTheAnchor) {
  expect_fused_equals_plain(small_config(MarkovHeadType::kRnn, false));
}

TEST(DSpark, FusedEqualsPlainWithDPace) {
  DSparkTrainingOptions options;
  options.position_weight = PositionWeight::kDPace;
  options.loss = nn::parse_loss_spec("ce");
  options.max_anchors = 9;
  expect_fused_equals_plain(small_config(MarkovHeadType::kVanilla), options);
}

TEST(DSpark, FusedEqualsPlainWithoutAMarkovHead) {
  DSparkConfig config = small_config(MarkovHeadType::kVanilla);
  config.markov_rank = 0;
  config.confidence_head_with_markov = false;
  expect_fused_equals_plain(config);
}

TEST(DSpark, FusedEqualsPlainWithoutAConfidenceHead) {
  DSparkConfig config = small_config(MarkovHeadType::kVanilla);
  config.enable_confidence_head = false;
  expect_fused_equals_plain(config);
}

std::vector<std::string> metric_names(TrainableDraft& draft, const TrainBatch& batch) {
  std::vector<std::string> names;
  for (const auto& [name, pair] : draft.forward(batch, 1).metrics) names.push_back(name);
  return names;
}

TEST(DSpark, NoSupervisedRowGivesZeroLossAndTheSameMetrics) {
  const TrainBatch nothing = random_batch::pack({random_batch::document(5, 5, 2, 1)}, 0);
  for (const bool has_confidence : {true, false}) {
    DSparkConfig config = small_config(MarkovHeadType::kVanilla);
    config.enable_confidence_head = has_confidence;
    const auto draft = make_draft(config);
    EXPECT_EQ(draft->forward(nothing, 1).loss.item<float>(), 0.0f);
    EXPECT_EQ(metric_names(*draft, nothing), metric_names(*draft, random_batch::batch(2)));
  }
}

TEST(DSpark, SavesExactlyTheTensorsOfItsWeightTable) {
  for (const MarkovHeadType type : {MarkovHeadType::kVanilla, MarkovHeadType::kGated, MarkovHeadType::kRnn}) {
    std::map<std::string, std::vector<int64_t>> expected, found;
    for (const WeightSpec& spec : dspark_weights(small_config(type))) {
      if (spec.required != WeightPresence::kNever) expected[spec.name] = spec.shape;
    }
    for (const NamedParameter& tensor : make_draft(small_config(type))->saved_tensors())
      found[tensor.name] = tensor.value.sizes().vec();
    EXPECT_EQ(found, expected);
  }
}

TEST(DSpark, ANegativeWeightOfTheConfidenceLossIsAUsageError) {
  DSparkTrainingOptions options;
  options.confidence_head_alpha = -1;
  EXPECT_THROW(make_draft(small_config(MarkovHeadType::kVanilla), options), UsageError);
}

// The heads' products, over what the block alone needs: 3 passes of a multiply-add as two.
TEST(DSpark, NeededFlopsAddsTheHeads) {
  DSparkConfig config = small_config(MarkovHeadType::kGated), bare = config;
  config.block_size = bare.block_size = 2;
  bare.markov_rank = 0;
  bare.confidence_head_with_markov = bare.enable_confidence_head = false;
  const TrainBatch batch = random_batch::pack({random_batch::document(3, 0, 2, 1)}, 4);
  // Anchors 0, 1, 2 with two slots, the last one's second behind the end: five pairs.
  const double pairs = 5, rank = 3, vocab = 10, hidden = 16;
  const double heads = rank * vocab + (hidden + rank) * rank + (hidden + rank);
  EXPECT_DOUBLE_EQ(make_draft(config)->needed_flops(batch) - make_draft(bare)->needed_flops(batch),
                   3 * 2 * pairs * heads);
}

}  // namespace
}  // namespace speculators
