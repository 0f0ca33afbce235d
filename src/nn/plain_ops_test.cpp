// The plain twins against numbers worked out elsewhere (reference algorithms.md 22).
#include "nn/plain_ops.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include "base/errors.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

torch::Tensor row(const std::vector<float>& values) {
  auto result = at::empty({1, static_cast<int64_t>(values.size())}, torch::kFloat32);
  std::copy(values.begin(), values.end(), result.mutable_data_ptr<float>());
  return result;
}

struct KnownLoss {
  LossKind kind;
  double value;
  std::vector<float> gradient;
};

class PlainLoss : public testing::TestWithParam<KnownLoss> {};

TEST_P(PlainLoss, GivesTheKnownValueAndGradient) {
  const auto logits = row({1, 2, 0.5, -1}).requires_grad_(true);
  const auto loss = element_loss_plain(GetParam().kind, logits, row({0.2, 2.9, 0.1, -0.4}));
  EXPECT_NEAR(loss.item<double>(), GetParam().value, 1e-6);
  loss.sum().backward();
  expect_close(logits.grad(), row(GetParam().gradient), 1e-5, "gradient");
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, PlainLoss,
    testing::Values(
        KnownLoss{LossKind::kKlDiv, 0.167109819, {0.166515668, -0.248983674, 0.083786900, -0.001318895}},
        KnownLoss{LossKind::kReverseKl, 0.224494119, {0.254018075, -0.345589347, 0.099674184, -0.008102912}},
        KnownLoss{LossKind::kJsd, 0.046545093, {0.047526579, -0.068895564, 0.022305335, -0.000936351}},
        KnownLoss{LossKind::kCrossEntropy, 0.495181898, {0.224207818, -0.390539962, 0.135988916, 0.030343229}},
        KnownLoss{LossKind::kTotalVariation, 0.250302568, {0.143448894, -0.219525515, 0.087006152, -0.010929532}},
        KnownLoss{LossKind::kNegLogAcceptance, 0.288085578, {0.191342385, -0.292818817, 0.116055023, -0.014578590}},
        KnownLoss{LossKind::kLkHybrid, 0.241526154, {0.145882322, -0.222633202, 0.086666538, -0.009915658}}));

TEST(PlainOps, RmsNormGivesTheKnownRow) {
  const auto weight = row({.5, -.5, 0, 1}).squeeze(0);
  expect_close(rms_norm_plain(row({1, 2, 3, 4}), weight, 1e-6), row({.182574174, -.365148347, 0, 1.460593389}), 1e-6,
               "norm");
}

TEST(PlainOps, RopeTurnsTheHalvesOfAHead) {
  const auto x = row({1, 2, 3, 4}).unsqueeze(1);  // pairs (1, 3) and (2, 4); the first turned by 90 degrees
  expect_close(rope_plain(x, row({0, 1}), row({1, 0})), row({-3, 2, 1, 4}).unsqueeze(1), 1e-6, "rope");
}

TEST(PlainOps, ARowThatSeesNoKeyGivesZerosAndAFiniteGradient) {
  const auto q = leaf({2, 2, 4}, 1);
  const auto visible = at::ones({2, 3}, torch::kBool);
  visible[0].fill_(false);
  const auto out = attention_plain(q, noise({3, 1, 4}, 2), noise({3, 1, 4}, 3), visible);
  out.sum().backward();
  EXPECT_EQ(out[0].abs().max().item<float>(), 0.0f);
  EXPECT_TRUE(q.grad().isfinite().all().item<bool>());
}

TEST(PlainOps, AttentionWithEqualKeysAveragesTheVisibleValues) {
  const auto visible = at::ones({1, 3}, torch::kBool);
  visible[0][2].fill_(false);
  const auto values = noise({3, 1, 4}, 3);
  const auto out = attention_plain(noise({1, 1, 4}, 1), at::ones({3, 1, 4}), values, visible);
  expect_close(out, ((values[0] + values[1]) / 2).view({1, 4}), 1e-6, "mean");
}

TEST(PlainOps, AnUnknownActivationIsAUsageError) {
  EXPECT_THROW(activation_plain("swish2", noise({1, 2}, 1)), UsageError);
}

}  // namespace
}  // namespace speculators::nn
