#include "draft/eagle3/trainable.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "draft/chain/weights.h"
#include "draft/eagle3/golden_model_for_test.h"
#include "draft/training/parameters.h"
#include "draft/training/random_batch.h"

namespace speculators {
namespace {

using GoldenEagle3 = golden::GoldenTest;

TEST_P(GoldenEagle3, PlainPathGivesUpstreamsNumbers) {
  Eagle3Model model = golden::eagle3_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, eagle3_forward_plain(model, golden::batch_of(c)), parameters_of(model));
}

TEST_P(GoldenEagle3, FusedPathGivesUpstreamsNumbers) {
  Eagle3Model model = golden::eagle3_model(c, /*compat_upstream=*/true);
  golden::expect_golden(c, eagle3_forward(model, golden::batch_of(c)), parameters_of(model));
}

INSTANTIATE_TEST_SUITE_P(Own, GoldenEagle3,
                         testing::Values(golden::CaseName{false, "eagle3_reduced_cut"},
                                         golden::CaseName{false, "eagle3_full_bias_gelu"},
                                         golden::CaseName{false, "eagle3_qwen3_3l_llama3_rope"}));
INSTANTIATE_TEST_SUITE_P(Shared, GoldenEagle3,
                         testing::Values(golden::CaseName{true, "eagle3_llama"},
                                         golden::CaseName{true, "eagle3_qwen3_2l"}));

TEST_P(GoldenEagle3, StrictDocumentsGiveAnotherLossThanUpstream) {
  Eagle3Model model = golden::eagle3_model(c, /*compat_upstream=*/false);
  EXPECT_GT(std::abs(eagle3_forward(model, golden::batch_of(c)).loss.item<double>() - c.meta.at("loss").get<double>()),
            1e-3);
}

Eagle3Config small_config(int64_t num_layers, const std::string& model_type = "llama") {
  Eagle3Config config;
  config.layer = random_batch::layer_config(num_layers, model_type);
  config.draft_vocab_size = random_batch::kDraftVocab;
  config.aux_layer_ids = {1, 2};
  config.norm_before_residual = config.norm_before_fc = config.norm_output = true;
  return config;
}

std::unique_ptr<TrainableDraft> make_draft(const Eagle3Config& config, Eagle3TrainingOptions options = {},
                                           uint64_t seed = 1) {
  return make_trainable_eagle3(config, options, random_batch::verifier(), random_batch::vocabulary(), seed);
}

void expect_fused_equals_plain(const Eagle3Config& config, Eagle3TrainingOptions options) {
  const auto fused = make_draft(config, options);
  options.plain_ops = true;
  random_batch::expect_same_step(*fused, *make_draft(config, options), random_batch::batch(2));
}

TEST(Eagle3, FusedEqualsPlainWithinDocuments) { expect_fused_equals_plain(small_config(1), {}); }

TEST(Eagle3, FusedEqualsPlainWithLayersWindowsAndManySteps) {
  Eagle3Config config = small_config(3, "qwen3");
  config.layer.layer_types = {"sliding_attention", "full_attention", "sliding_attention"};
  config.layer.sliding_window = 3;
  Eagle3TrainingOptions options;
  options.ttt_steps = 5;
  expect_fused_equals_plain(config, options);
}

TEST(Eagle3, ChainsOfADocumentDoNotDependOnTheOthers) {
  const auto draft = make_draft(small_config(1));
  const auto first = random_batch::document(9, 3, 2, 10), second = random_batch::document(6, 0, 2, 20);
  const auto alone = draft->forward(random_batch::pack({first}, 0), 1);
  const auto other = draft->forward(random_batch::pack({second}, 2), 1);
  const auto both = draft->forward(random_batch::pack({first, second}, 1), 1);
  for (const char* name : {"full_acc_0", "full_acc_2", "cond_acc_1"}) {
    EXPECT_EQ(both.metrics.at(name).sum, alone.metrics.at(name).sum + other.metrics.at(name).sum) << name;
    EXPECT_EQ(both.metrics.at(name).total, alone.metrics.at(name).total + other.metrics.at(name).total) << name;
  }
  const auto weighted = [](const LossResult& r) {
    return r.metrics.at("loss_2").sum * r.metrics.at("full_acc_2").total;
  };
  EXPECT_NEAR(weighted(both), weighted(alone) + weighted(other), 1e-3);
}

TEST(Eagle3, NoSupervisedRowGivesZeroLossAndZeroGradients) {
  const auto draft = make_draft(small_config(1));
  const auto result = draft->forward(random_batch::pack({random_batch::document(5, 5, 2, 1)}, 0), 1);
  EXPECT_EQ(result.loss.item<float>(), 0.0f);
  EXPECT_EQ(result.metrics.at("full_acc_0").total, 0);
  result.loss.backward();
}

TEST(Eagle3, ValidationBuildsNoGraph) {
  const auto draft = make_draft(small_config(1));
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(draft->forward(random_batch::batch(2), 1).loss.requires_grad());
}

TEST(Eagle3, TrainingLowersTheLoss) {
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

TEST(Eagle3, BFloat16ProductsStayNearFp32) {
  const auto exact = make_draft(small_config(1));
  Eagle3TrainingOptions options;
  options.compute_dtype = torch::kBFloat16;
  const auto rounded = make_draft(small_config(1), options);
  const TrainBatch batch = random_batch::batch(2);
  EXPECT_NEAR(rounded->forward(batch, 1).loss.item<double>(), exact->forward(batch, 1).loss.item<double>(), 0.05);
}

TEST(Eagle3, PrepareShiftsADocumentByOne) {
  const auto document = random_batch::document(5, 2, 2, 1);
  const TrainDocument shifted = make_draft(small_config(1))->prepare(document);
  EXPECT_TRUE(shifted.input_ids.equal(document.input_ids.narrow(0, 1, 4)));
  EXPECT_TRUE(shifted.aux_hidden_states.equal(document.aux_hidden_states.narrow(0, 0, 4)));
  EXPECT_TRUE(shifted.last_hidden_states.equal(document.last_hidden_states.narrow(0, 1, 4)));
  EXPECT_TRUE(shifted.loss_mask.equal(document.loss_mask.narrow(0, 1, 4)));
  EXPECT_TRUE(shifted.position_ids.equal(document.position_ids.narrow(0, 1, 4)));
}

TEST(Eagle3, PrepareLeavesAnEmptyDocumentEmpty) {
  EXPECT_EQ(make_draft(small_config(1))->prepare(random_batch::document(0, 0, 2, 1)).input_ids.size(0), 0);
}

TEST(Eagle3, SavesExactlyTheTensorsOfItsWeightTable) {
  for (const char* model_type : {"llama", "qwen3"}) {
    Eagle3Config config = small_config(2, model_type);
    config.layer.attention_bias = true;
    std::map<std::string, std::vector<int64_t>> expected, found;
    for (const WeightSpec& spec : chain_weight_table(config)) expected[spec.name] = spec.shape;
    for (const NamedParameter& tensor : make_draft(config)->saved_tensors())
      found[tensor.name] = tensor.value.sizes().vec();
    EXPECT_EQ(found, expected);
  }
}

TEST(Eagle3, TheSeedDecidesTheInitialWeights) {
  const auto weights = [](uint64_t seed) {
    return make_draft(small_config(1), {}, seed)->parameters()[0].value.detach().clone();
  };
  EXPECT_TRUE(weights(1).equal(weights(1)));
  EXPECT_FALSE(weights(1).equal(weights(2)));
}

TEST(Eagle3, LoadListsEverythingThatIsWrong) {
  const auto draft = make_draft(small_config(1));
  std::map<std::string, torch::Tensor> tensors;
  for (const NamedParameter& parameter : draft->parameters())
    tensors[parameter.name] = parameter.value.detach().clone();
  tensors.erase("norm.weight");
  tensors["fc.weight"] = random_batch::noise({3, 3}, 1);
  tensors["input_norm.weight"][0] = std::nan("");
  try {
    draft->load(tensors);
    FAIL() << "loaded";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("norm.weight: missing"),
                                             testing::HasSubstr("fc.weight: expected [16, 32], found [3, 3]"),
                                             testing::HasSubstr("input_norm.weight: not every value is finite")));
  }
}

TEST(Eagle3, ACheckpointsOwnHeadIsKeptAndSaved) {
  const auto draft = make_draft(small_config(1));
  std::map<std::string, torch::Tensor> tensors;
  for (const NamedParameter& parameter : draft->parameters()) tensors[parameter.name] = parameter.value.detach();
  tensors["lm_head.weight"] = random_batch::noise({random_batch::kDraftVocab, random_batch::kHidden}, 77);
  const double before = draft->forward(random_batch::batch(2), 1).loss.item<double>();
  draft->load(tensors);
  EXPECT_NE(draft->forward(random_batch::batch(2), 1).loss.item<double>(), before);
  for (const NamedParameter& tensor : draft->saved_tensors()) {
    if (tensor.name != "lm_head.weight") continue;
    EXPECT_TRUE(tensor.value.equal(tensors["lm_head.weight"]));
  }
}

TEST(Eagle3, AVerifierOfAnotherShapeIsADataError) {
  VerifierTensors verifier = random_batch::verifier();
  verifier.lm_head = random_batch::noise({5, random_batch::kHidden}, 1);
  EXPECT_THROW(make_trainable_eagle3(small_config(1), {}, verifier, random_batch::vocabulary(), 1), DataError);
}

TEST(Eagle3, AReducedVocabularyNeedsAMapping) {
  EXPECT_THROW(make_trainable_eagle3(small_config(1), {}, random_batch::verifier(), std::nullopt, 1), DataError);
}

TEST(Eagle3, ABatchOfAnotherWidthIsAShapeError) {
  EXPECT_THROW(make_draft(small_config(1))->forward(random_batch::batch(3), 1), ShapeError);
}

// One document of 2 rows, all supervised, one step: worked out by hand.
TEST(Eagle3, NeededFlopsCountsEachProductOnce) {
  Eagle3TrainingOptions options;
  options.ttt_steps = 1;
  const auto draft = make_draft(small_config(1), options);
  const double d = 16, aux = 32, q = 16, kv = 16, mlp = 20, vocab = 10, rows = 2;
  const double fc = 2 * 2 * rows * aux * d, embedding_half = 2 * 2 * rows * d * (q + kv),
               hidden_half = 3 * 2 * rows * d * (q + kv);
  const double tail = 3 * 2 * rows * (q * d + 3 * d * mlp), heads = 3 * 2 * rows * d * vocab;
  const double attention = 6 * 2 * (1 + 2) * 4 * 4;
  EXPECT_DOUBLE_EQ(draft->needed_flops(random_batch::pack({random_batch::document(2, 0, 2, 1)}, 5)),
                   fc + embedding_half + hidden_half + tail + heads + attention);
}

}  // namespace
}  // namespace speculators
