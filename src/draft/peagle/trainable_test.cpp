#include "draft/peagle/trainable.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "draft/peagle/golden_model_for_test.h"
#include "draft/peagle/weights.h"
#include "draft/training/parameters.h"
#include "draft/training/random_batch.h"

namespace speculators {
namespace {

using testing::HasSubstr;
using GoldenPEagle = golden::GoldenTest;

TEST_P(GoldenPEagle, PlainPathGivesUpstreamsNumbers) {
  PEagleModel model = golden::peagle_model(c);
  golden::expect_golden(c, peagle_forward_plain(model, golden::batch_of(c), golden::slots_of(c)), parameters_of(model));
}

TEST_P(GoldenPEagle, FusedPathGivesUpstreamsNumbers) {
  PEagleModel model = golden::peagle_model(c);
  golden::expect_golden(c, peagle_forward(model, golden::batch_of(c), golden::slots_of(c)), parameters_of(model));
}

TEST_P(GoldenPEagle, TheSeedDrawsUpstreamsSlots) {
  const PEagleModel model = golden::peagle_model(c);
  const BatchRows rows = read_batch_rows(golden::batch_of(c), model.network.aux_width(), model.network.hidden_size);
  const auto seed = c.meta.at("torch_seed_before_forward").get<uint64_t>();
  EXPECT_EQ(draw_slots(rows, golden::sampling_of(c), /*compat_upstream=*/true, seed), golden::slots_of(c));
}

INSTANTIATE_TEST_SUITE_P(Own, GoldenPEagle,
                         testing::Values(golden::CaseName{false, "peagle_qwen3_3l_llama3_rope"},
                                         golden::CaseName{false, "peagle_frozen_embedding"}));
INSTANTIATE_TEST_SUITE_P(Shared, GoldenPEagle,
                         testing::Values(golden::CaseName{true, "peagle_full"},
                                         golden::CaseName{true, "peagle_sliding_embgrad"}));

PEagleConfig small_config(int64_t num_layers, const std::string& model_type = "llama") {
  PEagleConfig config;
  config.layer = random_batch::layer_config(num_layers, model_type);
  config.draft_vocab_size = random_batch::kDraftVocab;
  config.aux_layer_ids = {1, 2};
  config.embed_requires_grad = true;
  config.mask_token_id = 3;
  return config;
}

PEagleTrainingOptions small_options() {
  PEagleTrainingOptions options;
  options.sampling.num_depths = 4;
  return options;
}

std::unique_ptr<TrainableDraft> make_draft(const PEagleConfig& config, PEagleTrainingOptions options = small_options(),
                                           uint64_t seed = 1) {
  return make_trainable_peagle(config, options, random_batch::verifier(), random_batch::vocabulary(), seed);
}

void expect_fused_equals_plain(const PEagleConfig& config, PEagleTrainingOptions options) {
  const auto fused = make_draft(config, options);
  options.plain_ops = true;
  random_batch::expect_same_step(*fused, *make_draft(config, options), random_batch::batch(2));
}

TEST(PEagle, FusedEqualsPlainWithATrainedEmbedding) { expect_fused_equals_plain(small_config(1), small_options()); }

TEST(PEagle, FusedEqualsPlainWithAFrozenEmbeddingAndFeatureNorm) {
  PEagleConfig config = small_config(1);
  config.embed_requires_grad = false;
  config.norm_before_fc = config.norm_before_residual = true;
  expect_fused_equals_plain(config, small_options());
}

TEST(PEagle, FusedEqualsPlainWithLayersWindowsAndNorms) {
  PEagleConfig config = small_config(3, "qwen3");
  config.layer.layer_types = {"sliding_attention", "full_attention", "sliding_attention"};
  config.layer.sliding_window = 3;  // fewer than depths: the chain reaches further back than the window
  config.fc_norm = true;
  PEagleTrainingOptions options = small_options();
  options.sampling.num_depths = 6;
  options.sampling.down_sample_ratio = 1;
  expect_fused_equals_plain(config, options);
}

TEST(PEagle, FusedEqualsPlainWhereUpstreamsChainsCrossDocuments) {
  PEagleConfig config = small_config(2);
  config.embed_requires_grad = false;
  PEagleTrainingOptions options = small_options();
  options.compat_upstream = true;
  options.sampling.down_sample_ratio = 1;
  expect_fused_equals_plain(config, options);
}

// Row 0 is supervised, so upstream has a chain with anchor -1, which is looked up at the last row.
TEST(PEagle, FusedEqualsPlainForTheChainOfTheVeryFirstRow) {
  PEagleTrainingOptions options = small_options();
  options.compat_upstream = true;
  options.sampling.down_sample_ratio = 1;
  for (const int64_t padding : {0, 2}) {
    const auto fused = make_draft(small_config(1), options);
    options.plain_ops = true;
    const auto batch = random_batch::pack({random_batch::document(6, 0, 2, 20)}, padding);
    random_batch::expect_same_step(*fused, *make_draft(small_config(1), options), batch);
    options.plain_ops = false;
  }
}

TEST(PEagle, ThePaddingTokensEmbeddingGetsNoGradient) {
  PEagleConfig config = small_config(1);
  config.layer.pad_token_id = config.mask_token_id;
  expect_fused_equals_plain(config, small_options());
  const auto draft = make_draft(config);
  const auto gradient =
      random_batch::gradients(*draft, draft->forward(random_batch::batch(2), 1)).at("embed_tokens.weight");
  EXPECT_EQ(gradient[3].abs().sum().item<float>(), 0.0f);
  EXPECT_GT(gradient.abs().sum().item<float>(), 0.0f);
}

TEST(PEagle, ATrainedEmbeddingLeavesTheVerifiersAlone) {
  VerifierTensors verifier = random_batch::verifier();
  verifier.lm_head = verifier.embed_tokens;  // tied
  const auto before = verifier.embed_tokens.clone();
  const auto draft = make_trainable_peagle(small_config(1), small_options(), verifier, random_batch::vocabulary(), 1);
  {
    const at::NoGradGuard no_grad;
    for (NamedParameter& parameter : draft->parameters()) parameter.value.add_(1.0);
  }
  EXPECT_TRUE(verifier.embed_tokens.equal(before));
}

TEST(PEagle, OneDepthTrainsEveryRowAndNoChain) {
  PEagleTrainingOptions options = small_options();
  options.sampling.num_depths = 1;
  expect_fused_equals_plain(small_config(1), options);
  const auto metrics = make_draft(small_config(1), options)->forward(random_batch::batch(2), 1).metrics;
  EXPECT_EQ(metrics.at("full_acc").total, metrics.at("position_0_acc").total);
  EXPECT_EQ(metrics.count("position_1_acc"), 0u);
}

TEST(PEagle, TheSameSeedGivesTheSameLossAndAnotherSeedAnother) {
  const auto draft = make_draft(small_config(1));
  const auto loss = [&](uint64_t seed) { return draft->forward(random_batch::batch(2), seed).loss.item<float>(); };
  EXPECT_EQ(loss(1), loss(1));
  EXPECT_NE(loss(1), loss(2));
}

TEST(PEagle, NoSupervisedRowGivesZeroLossAndZeroGradients) {
  const auto draft = make_draft(small_config(1));
  const auto result = draft->forward(random_batch::pack({random_batch::document(5, 5, 2, 1)}, 0), 1);
  EXPECT_EQ(result.loss.item<float>(), 0.0f);
  EXPECT_EQ(result.metrics.at("position_3_acc").total, 0);
  result.loss.backward();
}

TEST(PEagle, ValidationBuildsNoGraph) {
  const auto draft = make_draft(small_config(1));
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(draft->forward(random_batch::batch(2), 1).loss.requires_grad());
}

TEST(PEagle, TrainingLowersTheLoss) {
  const auto draft = make_draft(small_config(1));
  const TrainBatch batch = random_batch::batch(2);
  const double first = draft->forward(batch, 1).loss.item<double>();
  for (int step = 0; step < 30; ++step) {
    draft->forward(batch, 1).loss.backward();
    const at::NoGradGuard no_grad;
    for (NamedParameter& parameter : draft->parameters()) {
      parameter.value.sub_(parameter.value.grad(), 0.1);
      parameter.value.mutable_grad() = torch::Tensor();
    }
  }
  EXPECT_LT(draft->forward(batch, 1).loss.item<double>(), 0.9 * first);
}

TEST(PEagle, BFloat16ProductsStayNearFp32) {
  const auto exact = make_draft(small_config(1));
  PEagleTrainingOptions options = small_options();
  options.compute_dtype = torch::kBFloat16;
  const auto rounded = make_draft(small_config(1), options);
  const TrainBatch batch = random_batch::batch(2);
  EXPECT_NEAR(rounded->forward(batch, 1).loss.item<double>(), exact->forward(batch, 1).loss.item<double>(), 0.05);
}

TEST(PEagle, SavesExactlyTheTensorsOfItsWeightTable) {
  for (const bool trained : {true, false}) {
    PEagleConfig config = small_config(2, "qwen3");
    config.embed_requires_grad = trained;
    std::map<std::string, std::vector<int64_t>> expected, found;
    for (const WeightSpec& spec : peagle_weights(config)) expected[spec.name] = spec.shape;
    for (const NamedParameter& tensor : make_draft(config)->saved_tensors())
      found[tensor.name] = tensor.value.sizes().vec();
    EXPECT_EQ(found, expected);
  }
}

TEST(PEagle, AFrozenEmbeddingComesFromTheCheckpoint) {
  PEagleConfig config = small_config(1);
  const auto trained = make_draft(config);
  std::map<std::string, torch::Tensor> tensors;
  for (const NamedParameter& tensor : trained->saved_tensors()) tensors[tensor.name] = tensor.value.clone();
  tensors.at("embed_tokens.weight").add_(0.5);
  config.embed_requires_grad = false;
  const auto frozen = make_draft(config);
  frozen->load(tensors);
  EXPECT_TRUE(frozen->saved_tensors()[0].value.equal(tensors.at("embed_tokens.weight")));
}

TEST(PEagle, TheProposalIsAsLongAsTheDepths) { EXPECT_EQ(make_draft(small_config(1))->speculative_tokens(), 4); }

TEST(PEagle, OptionsOutOfRangeAreUsageErrors) {
  const auto expect_refused = [](auto change, const char* flag) {
    PEagleTrainingOptions options = small_options();
    change(options.sampling);
    EXPECT_THAT([&] { make_draft(small_config(1), options); }, testing::ThrowsMessage<UsageError>(HasSubstr(flag)));
  };
  expect_refused([](SlotSampling& sampling) { sampling.num_depths = 0; }, "--num-depths");
  expect_refused([](SlotSampling& sampling) { sampling.max_anchors = 0; }, "--max-anchors");
  expect_refused([](SlotSampling& sampling) { sampling.down_sample_ratio = 1.5; }, "--down-sample-ratio:");
  expect_refused([](SlotSampling& sampling) { sampling.down_sample_ratio_min = -1; }, "--down-sample-ratio-min:");
}

TEST(PEagle, ABatchOfAnotherWidthIsAShapeError) {
  EXPECT_THROW(make_draft(small_config(1))->forward(random_batch::batch(3), 1), ShapeError);
}

// One document of 2 supervised rows, one slot of depth 1 (of 2 seeds: (2 - 1) * 1), worked out by hand: it lies on row
// 1, since row 0 has no row before it, and sees row 0 and itself.
TEST(PEagle, NeededFlopsCountsEachProductOnce) {
  PEagleTrainingOptions options = small_options();
  options.sampling.num_depths = 2;
  options.sampling.down_sample_ratio = 1;
  const auto draft = make_draft(small_config(1), options);
  const double d = 16, aux = 32, q = 16, kv = 16, mlp = 20, vocab = 10, rows = 2, slots = 1;
  const double fc = 2 * 2 * rows * aux * d + 3 * 2 * aux * d;
  const double projections = 3 * 2 * (rows + 1) * 2 * d * (q + kv);
  const double tail = 3 * 2 * (rows + slots) * (q * d + 3 * d * mlp);
  const double heads = 2 * d * vocab * (rows + 2 * (rows + slots));
  const double attention = 6 * 2 * (1 + 2 + 2) * 4 * 4;
  EXPECT_DOUBLE_EQ(draft->needed_flops(random_batch::pack({random_batch::document(2, 0, 2, 1)}, 5)),
                   fc + projections + tail + heads + attention);
}

}  // namespace
}  // namespace speculators
