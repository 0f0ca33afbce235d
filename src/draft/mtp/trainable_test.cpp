#include "draft/mtp/trainable.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "draft/mtp/golden_model_for_test.h"
#include "draft/training/parameters.h"
#include "draft/training/random_batch.h"

namespace speculators {
namespace {

using GoldenMtp = golden::GoldenTest;

// Upstream's metrics, beside which we report accuracies.
void expect_upstream(const golden::Case& c, const LossResult& result, const std::vector<NamedParameter>& parameters) {
  golden::expect_near_relative(result.loss.item<double>(), c.meta.at("loss").get<double>(), 1e-5, "loss");
  for (const auto& [name, value] : c.meta.at("metrics").items()) {
    const bool is_pair = name == "loss_sum" || name == "loss_total";
    const MetricPair& found = result.metrics.at(is_pair ? "loss" : name);
    golden::expect_near_relative(name == "loss_total" ? found.total : found.sum, value.get<double>(), 1e-5, name);
  }
  golden::expect_golden_gradients(c, result, parameters);
}

TEST_P(GoldenMtp, PlainPathGivesUpstreamsNumbers) {
  MtpModel model = golden::mtp_model(c, /*compat_upstream=*/true);
  expect_upstream(c, mtp_forward_plain(model, golden::mtp_batch_of(c)), parameters_of(model));
}

TEST_P(GoldenMtp, FusedPathGivesUpstreamsNumbers) {
  MtpModel model = golden::mtp_model(c, /*compat_upstream=*/true);
  expect_upstream(c, mtp_forward(model, golden::mtp_batch_of(c)), parameters_of(model));
}

INSTANTIATE_TEST_SUITE_P(Own, GoldenMtp,
                         testing::Values(golden::CaseName{false, "mtp_qwen3_llama3_rope"},
                                         golden::CaseName{false, "mtp_llama_bias_gelu"}));
INSTANTIATE_TEST_SUITE_P(Shared, GoldenMtp, testing::Values(golden::CaseName{true, "mtp_qwen3"}));

MtpConfig small_config(const std::string& model_type = "llama") {
  MtpConfig config;
  config.verifier = random_batch::layer_config(3, model_type);
  return config;
}

std::unique_ptr<TrainableDraft> make_draft(const MtpConfig& config, MtpTrainingOptions options = {},
                                           uint64_t seed = 1) {
  return make_trainable_mtp(config, options, random_batch::verifier(), std::nullopt, seed);
}

void expect_fused_equals_plain(const MtpConfig& config, MtpTrainingOptions options, const TrainBatch& batch) {
  const auto fused = make_draft(config, options);
  options.plain_ops = true;
  random_batch::expect_same_step(*fused, *make_draft(config, options), batch);
}

TEST(Mtp, FusedEqualsPlainWithinDocuments) { expect_fused_equals_plain(small_config(), {}, random_batch::batch(0)); }

TEST(Mtp, FusedEqualsPlainForOneStep) {
  MtpTrainingOptions options;
  options.num_steps = 1;
  expect_fused_equals_plain(small_config("qwen3"), options, random_batch::batch(0));
}

// Documents of 9, 6 and 7 tokens: at the last steps only the longest has labels, at the very last none.
TEST(Mtp, FusedEqualsPlainForMoreStepsThanDocumentsAreLong) {
  MtpTrainingOptions options;
  options.num_steps = 9;
  expect_fused_equals_plain(small_config("qwen3"), options, random_batch::batch(0));
}

TEST(Mtp, FusedEqualsPlainBehindTheFinalNorm) {
  MtpConfig config = small_config();
  config.normed_hidden_states = true;
  expect_fused_equals_plain(config, {}, random_batch::batch(0));
  EXPECT_NE(make_draft(config)->forward(random_batch::batch(0), 1).loss.item<float>(),
            make_draft(small_config())->forward(random_batch::batch(0), 1).loss.item<float>());
}

TEST(Mtp, StepsOfADocumentDoNotDependOnTheOthers) {
  const auto draft = make_draft(small_config());
  const auto first = random_batch::document(9, 3, 0, 10), second = random_batch::document(6, 0, 0, 20);
  const auto alone = draft->forward(random_batch::pack({first}, 0), 1);
  const auto other = draft->forward(random_batch::pack({second}, 2), 1);
  const auto both = draft->forward(random_batch::pack({first, second}, 1), 1);
  for (const int step : {0, 1, 2}) {
    const std::string loss = fmt::format("loss_step_{}", step), accuracy = fmt::format("acc_step_{}", step);
    const auto weighted = [&](const LossResult& r) { return r.metrics.at(loss).sum * r.metrics.at(accuracy).total; };
    EXPECT_EQ(both.metrics.at(accuracy).total, alone.metrics.at(accuracy).total + other.metrics.at(accuracy).total);
    EXPECT_NEAR(weighted(both), weighted(alone) + weighted(other), 1e-3) << step;
  }
}

TEST(Mtp, NoLabelGivesZeroLossAndZeroGradients) {
  const auto draft = make_draft(small_config());
  const auto result = draft->forward(random_batch::pack({random_batch::document(2, 0, 0, 1)}, 2), 1);
  EXPECT_EQ(result.loss.item<float>(), 0.0f);
  EXPECT_EQ(result.metrics.at("acc_step_0").total, 0);
  result.loss.backward();
}

TEST(Mtp, ValidationBuildsNoGraph) {
  const auto draft = make_draft(small_config());
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(draft->forward(random_batch::batch(0), 1).loss.requires_grad());
}

TEST(Mtp, TrainingLowersTheLoss) {
  const auto draft = make_draft(small_config());
  const TrainBatch batch = random_batch::batch(0);
  const double first = draft->forward(batch, 1).loss.item<double>();
  for (int step = 0; step < 30; ++step) {
    draft->forward(batch, 1).loss.backward();
    const at::NoGradGuard no_grad;
    for (NamedParameter& parameter : draft->parameters()) {
      parameter.value.sub_(parameter.value.grad(), 0.3);
      parameter.value.mutable_grad() = torch::Tensor();
    }
  }
  EXPECT_LT(draft->forward(batch, 1).loss.item<double>(), 0.9 * first);
}

TEST(Mtp, BFloat16ProductsStayNearFp32) {
  MtpTrainingOptions options;
  options.compute_dtype = torch::kBFloat16;
  const TrainBatch batch = random_batch::batch(0);
  EXPECT_NEAR(make_draft(small_config(), options)->forward(batch, 1).loss.item<double>(),
              make_draft(small_config())->forward(batch, 1).loss.item<double>(), 0.05);
}

TEST(Mtp, PrepareLeavesRowsAndDropsAuxStates) {
  const auto document = random_batch::document(5, 2, 2, 1);
  const TrainDocument prepared = make_draft(small_config())->prepare(document);
  EXPECT_TRUE(prepared.input_ids.equal(document.input_ids));
  EXPECT_TRUE(prepared.last_hidden_states.equal(document.last_hidden_states));
  EXPECT_EQ(prepared.aux_hidden_states.size(1), 0);
}

TEST(Mtp, SavesExactlyTheTensorsOfItsWeightTable) {
  for (const char* model_type : {"llama", "qwen3"}) {
    MtpConfig config = small_config(model_type);
    config.verifier.attention_bias = true;
    std::map<std::string, std::vector<int64_t>> expected, found;
    for (const WeightSpec& spec : mtp_weights(config)) {
      if (spec.required != WeightPresence::kNever) expected[spec.name] = spec.shape;
    }
    for (const NamedParameter& tensor : make_draft(config)->saved_tensors())
      found[tensor.name] = tensor.value.sizes().vec();
    EXPECT_EQ(found, expected);
  }
}

TEST(Mtp, TheSeedDecidesTheInitialWeights) {
  const auto weights = [](uint64_t seed) {
    return make_draft(small_config(), {}, seed)->parameters()[2].value.detach().clone();
  };
  EXPECT_TRUE(weights(1).equal(weights(1)));
  EXPECT_FALSE(weights(1).equal(weights(2)));
}

TEST(Mtp, AReducedVocabularyIsADataError) {
  EXPECT_THROW(make_trainable_mtp(small_config(), {}, random_batch::verifier(), random_batch::vocabulary(), 1),
               DataError);
}

TEST(Mtp, ABatchOfAnotherWidthIsAShapeError) {
  TrainBatch batch = random_batch::batch(0);
  batch.last_hidden_states = batch.last_hidden_states.narrow(1, 0, 3);
  EXPECT_THROW(make_draft(small_config())->forward(batch, 1), ShapeError);
}

// One document of 4 rows, all supervised, one step: rows 0 and 1 predict x_2 and x_3.
TEST(Mtp, NeededFlopsCountsEachProductOnce) {
  MtpTrainingOptions options;
  options.num_steps = 1;
  const auto draft = make_draft(small_config(), options);
  const double d = 16, q = 16, kv = 16, mlp = 20, vocab = random_batch::kVerifierVocab, rows = 2;
  const double projection = 2 * 2 * rows * d * d + 3 * 2 * rows * d * d;  // embedding half, hidden half
  const double layer = 3 * 2 * rows * (d * (q + kv) + q * d + 3 * d * mlp), head = 2 * 2 * rows * d * vocab;
  const double attention = 6 * 2 * (1 + 2) * 4 * 4;
  EXPECT_DOUBLE_EQ(draft->needed_flops(random_batch::pack({random_batch::document(4, 0, 0, 1)}, 5)),
                   projection + layer + head + attention);
}

}  // namespace
}  // namespace speculators
