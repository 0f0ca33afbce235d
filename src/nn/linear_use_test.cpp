// Shared weight gradients and fixed columns against torch's own autograd.
#include "nn/linear_use.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>

#include "nn/pair_losses.h"
#include "nn/plain_ops.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

LinearGroup make_group(int64_t inputs, bool has_bias) {
  auto generator = at::detail::createCPUGenerator(3);
  LinearGroup group(inputs, {4, 3}, has_bias, generator);
  const at::NoGradGuard no_grad;
  for (size_t part = 0; part < 2; ++part) {
    group.weight(part).copy_(noise(group.weight(part).sizes(), 20 + part));
    if (has_bias) group.bias(part).copy_(noise(group.bias(part).sizes(), 30 + part));
  }
  return group;
}

// All parts by torch: [R, 7].
torch::Tensor reference(const LinearGroup& group, const torch::Tensor& x) {
  const auto bias = [&](size_t part) { return group.has_bias() ? group.bias(part) : torch::Tensor(); };
  return at::cat({at::linear(x, group.weight(0), bias(0)), at::linear(x, group.weight(1), bias(1))}, 1);
}

std::vector<torch::Tensor> leaves_of(const LinearGroup& group) {
  std::vector<torch::Tensor> leaves = {group.weight(0), group.weight(1)};
  if (group.has_bias()) leaves.insert(leaves.end(), {group.bias(0), group.bias(1)});
  return leaves;
}

void expect_all_close(const std::vector<torch::Tensor>& found, const std::vector<torch::Tensor>& expected,
                      double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    expect_close(found[i], expected[i], tolerance, "gradient " + std::to_string(i));
}

class LinearUseBias : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(WithAndWithoutBias, LinearUseBias, testing::Bool());

TEST_P(LinearUseBias, OneUseEqualsTorch) {
  const LinearGroup group = make_group(5, GetParam());
  const auto x = leaf({6, 5}, 1);
  auto leaves = leaves_of(group);
  leaves.push_back(x);
  const auto expected = gradients(reference(group, x), leaves);
  const auto y = LinearUse(group, torch::kFloat32).apply(x);
  expect_close(y, reference(group, x), 1e-6, "value");
  expect_all_close(gradients(y, leaves), expected, 1e-5);
}

TEST_P(LinearUseBias, SeveralUsesShareOneWeightGradient) {
  const LinearGroup group = make_group(7, GetParam());
  const auto x = leaf({6, 7}, 1);
  auto leaves = leaves_of(group);
  leaves.push_back(x);
  const auto first = reference(group, x);
  const auto expected = gradients(reference(group, first), leaves);  // the second use reads the first one's output
  LinearUse use(group, torch::kFloat32);
  expect_all_close(gradients(use.apply(use.apply(x)), leaves), expected, 1e-5);
}

TEST_P(LinearUseBias, TheAddendPassesItsGradientThrough) {
  const LinearGroup group = make_group(5, GetParam());
  const auto x = leaf({6, 5}, 1), addend = leaf({6, 7}, 2);
  auto leaves = leaves_of(group);
  leaves.insert(leaves.end(), {x, addend});
  const auto expected = gradients(reference(group, x) + addend, leaves);
  const auto y = LinearUse(group, torch::kFloat32).apply(x, addend);
  expect_close(y, reference(group, x) + addend, 1e-6, "value");
  expect_all_close(gradients(y, leaves), expected, 1e-5);
}

// Inputs [fixed * norm ; x] with rows of the fixed part repeated, in two uses.
TEST_P(LinearUseBias, FixedColumnsEqualTheConcatenatedInput) {
  const LinearGroup group = make_group(9, GetParam());  // 4 fixed columns, 5 others
  const auto fixed = noise({3, 4}, 5), x = leaf({6, 5}, 1);
  const auto norm_a = leaf({1}, 6), norm_b = leaf({3}, 7);
  auto leaves = leaves_of(group);
  leaves.insert(leaves.end(), {x, norm_a, norm_b});
  const auto rows = index_tensor({0, 2, 2, 1, 0, 2}), other_rows = index_tensor({1, 1, 0, 0, 2, 1});
  const auto normed = fixed * at::cat({norm_a, norm_b});
  const auto plain = [&](const torch::Tensor& index) {
    return reference(group, at::cat({normed.index_select(0, index), x}, 1));
  };
  const auto expected_value = at::cat({plain(rows), plain(other_rows)});
  const auto expected = gradients(expected_value, leaves);
  LinearUse use(group, {fixed, {norm_a, norm_b}}, torch::kFloat32);
  const auto y = at::cat({use.apply_fixed(rows, x), use.apply_fixed(other_rows, x)});
  expect_close(y, expected_value, 1e-6, "value");
  expect_all_close(gradients(y, leaves), expected, 1e-5);
}

TEST_P(LinearUseBias, FixedColumnsAloneNeedNoOtherInput) {
  const LinearGroup group = make_group(4, GetParam());
  const auto fixed = noise({3, 4}, 5), norm = leaf({4}, 6);
  auto leaves = leaves_of(group);
  leaves.push_back(norm);
  const auto expected = gradients(reference(group, fixed * norm), leaves);
  expect_all_close(gradients(LinearUse(group, {fixed, {norm}}, torch::kFloat32).apply_fixed({}, {}), leaves), expected,
                   1e-5);
}

TEST(LinearUse, BFloat16ProductsStayCloseAndKeepFp32Gradients) {
  const LinearGroup group = make_group(64, /*has_bias=*/false);
  const auto x = leaf({16, 64}, 1);
  const auto expected = gradients(reference(group, x), {x, group.weight(0)});
  const auto y = LinearUse(group, torch::kBFloat16).apply(x);
  EXPECT_EQ(y.scalar_type(), torch::kFloat32);
  expect_close(y, reference(group, x), 1e-2, "value");
  expect_all_close(gradients(y, {x, group.weight(0)}), expected, 1e-2);
}

}  // namespace
}  // namespace speculators::nn
