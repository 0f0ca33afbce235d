#include "nn/slot_convolution.h"

#include <ATen/ops/zeros.h>

#include "base/errors.h"
#include "nn/pair_losses.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

// reference algorithms.md 22: two blocks of two slots, two groups of two channels, two taps.
TEST(SlotConvolution, GivesTheNumbersOfTheReference) {
  const auto x = float_tensor({1, 2, 3, 4, 5, 6, 7, 8, -1, 0, 1, 2, 2, 1, 0, -1}).reshape({4, 4});
  const auto base = float_tensor({1, 1, 1, 1, 0.5, 0, -0.5, 1}).reshape({2, 4});
  // By slot: tap 0 of both groups, tap 1 of both groups. Slots without a predecessor drop their second tap.
  const auto change =
      float_tensor({0, 0, 0, 0, 0.1f, 0.2f, 0.3f, -0.1f, 0, 0, 9, 9, 0, 0, -0.5f, 0.25f}).reshape({4, 4});
  const auto expected =
      float_tensor({1, 2, 3, 4, 6.3f, 7.2f, 6.6f, 13.2f, -1, 0, 1, 2, 2, 1, -0.25f, 1.5f}).reshape({4, 4});
  const SlotConvolution convolution{change, base, index_tensor({0, 1, 0, 1})};
  expect_close(convolve_slots_plain(x, convolution), expected, 1e-6, "plain");
  expect_close(convolve_slots(x, convolution), expected, 1e-6, "fused");
}

// Blocks of 5, 1, 3 and 5 slots; the changes are a column range of wider rows.
void expect_plain_result(int64_t num_taps, int64_t group_size, bool has_addend) {
  const int64_t rows = 14, width = 24, coefficients = num_taps * width / group_size;
  const auto x = leaf({rows, width}, 1), wide = leaf({rows, 2 * coefficients}, 2), base = leaf({num_taps, width}, 3),
             addend = leaf({rows, width}, 4);
  const SlotConvolution convolution{wide.narrow(1, coefficients, coefficients), base,
                                    index_tensor({0, 1, 2, 3, 4, 0, 0, 1, 2, 0, 1, 2, 3, 4})};
  std::vector<torch::Tensor> leaves = {x, wide, base};
  if (has_addend) leaves.push_back(addend);
  const auto plain = convolve_slots_plain(x, convolution);
  const auto expected = gradients(has_addend ? addend + plain : plain, leaves);
  const auto fused = convolve_slots(x, convolution, has_addend ? addend : torch::Tensor());
  expect_close(fused, has_addend ? addend + plain : plain, 1e-6, "value");
  const auto found = gradients(fused, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) expect_close(found[i], expected[i], 1e-5, "gradient");
}

TEST(SlotConvolution, EqualsThePlainOneWithGradients) { expect_plain_result(2, 8, false); }
TEST(SlotConvolution, EqualsThePlainOneWithAnAddend) { expect_plain_result(3, 4, true); }
TEST(SlotConvolution, EqualsThePlainOneWithOneTap) { expect_plain_result(1, 24, false); }
TEST(SlotConvolution, EqualsThePlainOneWithMoreTapsThanSlotsOfABlock) { expect_plain_result(5, 1, true); }

TEST(SlotConvolution, ManyRowsSumTheBaseGradientOverThreads) {
  const int64_t rows = 2000, width = 64;
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i < rows; ++i) offsets.push_back(i % 8);
  const auto x = leaf({rows, width}, 1), change = leaf({rows, 2 * 4}, 2), base = leaf({2, width}, 3);
  const SlotConvolution convolution{change, base, index_tensor(offsets)};
  const auto expected = gradients(convolve_slots_plain(x, convolution), {x, change, base});
  const auto found = gradients(convolve_slots(x, convolution), {x, change, base});
  for (size_t i = 0; i < 3; ++i) expect_close(found[i], expected[i], 1e-5, "gradient");
}

TEST(SlotConvolution, RowsWithoutCoefficientsAreAShapeError) {
  const SlotConvolution convolution{at::zeros({3, 4}), at::zeros({2, 4}), index_tensor({0, 1, 2, 3})};
  EXPECT_THROW(convolve_slots(at::zeros({4, 4}), convolution), ShapeError);
}

}  // namespace
}  // namespace speculators::nn
