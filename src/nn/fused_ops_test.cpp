// Each fused operation against its plain twin: values and every gradient.
#include "nn/fused_ops.h"

#include <ATen/ops/arange.h>

#include "base/errors.h"
#include "nn/linear_group.h"
#include "nn/pair_losses.h"
#include "nn/plain_ops.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

RopeAngles angles_of(int64_t rows, int64_t head_dim) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < head_dim / 2; ++i) frequencies.push_back(1.0 / static_cast<double>(1 + 3 * i));
  return Rope(frequencies, 1.0).angles(at::arange(rows));
}

TEST(FusedRmsNorm, EqualsThePlainOneWithGradients) {
  const auto x = leaf({5, 37}, 1), weight = leaf({37}, 2);
  const auto plain = rms_norm_plain(x, weight, 1e-5);
  const auto expected = gradients(plain, {x, weight});
  const auto fused = rms_norm(x, weight, 1e-5);
  expect_close(fused, plain, 1e-6, "value");
  const auto found = gradients(fused, {x, weight});
  expect_close(found[0], expected[0], 1e-5, "x");
  expect_close(found[1], expected[1], 1e-5, "weight");
}

TEST(FusedRmsNorm, ManyRowsSumTheirWeightGradientOverThreads) {
  const auto x = leaf({900, 64}, 1), weight = leaf({64}, 2);
  const auto expected = gradients(rms_norm_plain(x, weight, 1e-5), {x, weight});
  const auto found = gradients(rms_norm(x, weight, 1e-5), {x, weight});
  expect_close(found[1], expected[1], 1e-5, "weight");
}

TEST(FusedRmsNorm, NormaliseIsTheNormWithoutWeight) {
  const auto x = noise({4, 10}, 1);
  expect_close(normalise(x, 1e-6), rms_norm_plain(x, at::ones({10}), 1e-6), 1e-6, "value");
}

class FusedHeads : public testing::TestWithParam<bool> {};

TEST_P(FusedHeads, EqualNormThenRopeOfAColumnRangeWithGradients) {
  const auto wide = leaf({6, 40}, 1);  // columns 8..31 are 3 heads of 8
  const auto weight = GetParam() ? leaf({8}, 2) : torch::Tensor();
  const auto leaves = GetParam() ? std::vector<torch::Tensor>{wide, weight} : std::vector<torch::Tensor>{wide};
  const RopeAngles angles = angles_of(6, 8);
  auto heads = wide.narrow(1, 8, 24).unflatten(1, {3, 8});
  if (GetParam()) heads = rms_norm_plain(heads, weight, 1e-5);
  const auto plain = rope_plain(heads, angles.cosines, angles.sines).flatten(1);
  const auto expected = gradients(plain, leaves);
  const auto fused = norm_and_rotate_heads(wide.narrow(1, 8, 24), weight, 1e-5, angles);
  expect_close(fused, plain, 1e-6, "value");
  const auto found = gradients(fused, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) expect_close(found[i], expected[i], 1e-5, "gradient");
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutNorm, FusedHeads, testing::Bool());

TEST(FusedSiluMul, EqualsThePlainOneWithGradients) {
  const auto gate_up = leaf({7, 26}, 1, 3.0);
  const auto plain = activation_plain("silu", gate_up.narrow(1, 0, 13)) * gate_up.narrow(1, 13, 13);
  const auto expected = gradients(plain, {gate_up});
  const auto fused = silu_mul(gate_up);
  expect_close(fused, plain, 1e-6, "value");
  expect_close(gradients(fused, {gate_up})[0], expected[0], 1e-6, "gradient");
}

TEST(GatherRows, SendsGradientsBackToTheRowsTaken) {
  const auto x = leaf({5, 3}, 1);
  const auto index = index_tensor({4, 0, 2});
  const auto expected = gradients(x.index_select(0, index), {x});
  expect_close(gradients(gather_rows(x, index), {x})[0], expected[0], 1e-7, "gradient");
}

TEST(RepeatRows, SumsTheGradientsOfRepeatedRows) {
  const auto x = leaf({3, 4}, 1);
  const auto index = index_tensor({1, 1, 0, 1});
  const auto expected = gradients(x.index_select(0, index), {x});
  expect_close(gradients(repeat_rows(x, index), {x})[0], expected[0], 1e-6, "gradient");
}

TEST(FusedOps, ASecondBackwardThroughTheSameGraphThrows) {
  const auto x = leaf({2, 4}, 1);
  const auto y = silu_mul(x).sum();
  y.backward({}, /*retain_graph=*/true);
  EXPECT_THROW(y.backward(), UsageError);
}

TEST(FusedOps, NoGradGuardBuildsNoGraph) {
  const auto x = leaf({2, 4}, 1);
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(silu_mul(x).requires_grad());
}

TEST(FusedOps, DoublesTakeThePlainPath) {
  const auto x = noise({3, 8}, 1).to(torch::kFloat64);
  expect_close(silu_mul(x), activation_plain("silu", x.narrow(1, 0, 4)) * x.narrow(1, 4, 4), 1e-12, "value");
}

TEST(LinearGroup, PartsAreLeavesThatShareOneMatrix) {
  auto generator = at::detail::createCPUGenerator(5);
  LinearGroup group(6, {4, 2}, /*has_bias=*/true, generator);
  {
    const at::NoGradGuard no_grad;
    group.weight(1).fill_(3.0);
  }
  EXPECT_TRUE(group.weight(1).is_leaf() && group.weight(1).requires_grad());
  EXPECT_EQ(group.all_weights().narrow(0, 4, 2).min().item<float>(), 3.0f);
  EXPECT_NE(group.all_weights().narrow(0, 0, 4).max().item<float>(), 3.0f);
}

TEST(LinearGroup, WeightsStartAroundZeroWithTheUsualSpread) {
  auto generator = at::detail::createCPUGenerator(5);
  const LinearGroup group(200, {300}, /*has_bias=*/true, generator);
  EXPECT_NEAR(group.all_weights().std().item<double>(), 0.02, 0.001);
  EXPECT_NEAR(group.all_weights().mean().item<double>(), 0.0, 0.0005);
  EXPECT_EQ(group.all_biases().abs().max().item<float>(), 0.0f);
}

}  // namespace
}  // namespace speculators::nn
