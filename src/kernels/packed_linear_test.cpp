#include "kernels/packed_linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/errors.h"
#include "kernels/isa.h"
#include "kernels/linear_kernels.h"
#include "kernels/linear_template.h"
#include "kernels/test_data.h"
#include "kernels/vector_portable.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Shape {
  int64_t num_outputs, num_inputs;
};

class PackedLinearShapes : public ::testing::TestWithParam<Shape> {};

TEST_P(PackedLinearShapes, EqualsItsPlainTwinBitForBitForAnyNumberOfRows) {
  const auto [num_outputs, num_inputs] = GetParam();
  const PackedLinear linear(random_weights(num_outputs * num_inputs, 1), num_outputs, num_inputs,
                            random_floats(num_outputs, 2));
  const std::vector<float> x = random_floats(20 * num_inputs, 3);
  std::vector<float> plain(static_cast<size_t>(20 * num_outputs));
  linear.forward_plain(x.data(), 20, plain.data());
  for (int64_t num_rows = 1; num_rows <= 20; ++num_rows) {
    std::vector<float> y(static_cast<size_t>(num_rows * num_outputs), NAN);
    linear.forward(x.data(), num_rows, y.data());
    const std::vector<float> expected(plain.begin(), plain.begin() + num_rows * num_outputs);
    ASSERT_EQ(y, expected) << num_rows << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(OddSizes, PackedLinearShapes,
                         ::testing::Values(Shape{1, 1}, Shape{16, 4}, Shape{15, 3}, Shape{17, 5}, Shape{33, 64},
                                           Shape{100, 37}, Shape{112, 7}, Shape{320, 96}, Shape{1000, 130}),
                         [](const auto& info) {
                           return std::to_string(info.param.num_outputs) + "x" + std::to_string(info.param.num_inputs);
                         });

// Every instruction set that runs here, and the wide panels of AVX-512 by plain lanes on any machine.
std::vector<LinearKernels> all_kernels() {
  std::vector<LinearKernels> kernels;
  for (const Isa isa : list_usable_isas()) kernels.push_back(linear_kernels(isa));
  kernels.push_back({LinearTiles<PortableVector<16>>::kWidth, &LinearTiles<PortableVector<16>>::multiply});
  return kernels;
}

// Packs by hand and runs one kernel over the panels before and behind `split`.
std::vector<float> run_kernel(const LinearKernels& kernels, const std::vector<Bf16>& weight,
                              const std::vector<float>& x, Shape shape, int64_t split = 0) {
  const int64_t width = kernels.panel_width;
  const int64_t num_panels = (shape.num_outputs + width - 1) / width;
  AlignedVector<Bf16> panels(static_cast<size_t>(num_panels * width * shape.num_inputs));
  for (int64_t n = 0; n < shape.num_outputs; ++n) {
    for (int64_t k = 0; k < shape.num_inputs; ++k) {
      panels[static_cast<size_t>((n / width * shape.num_inputs + k) * width + position_in_panel(n % width, width))] =
          weight[static_cast<size_t>(n * shape.num_inputs + k)];
    }
  }
  const int64_t num_rows = static_cast<int64_t>(x.size()) / shape.num_inputs;
  std::vector<float> y(static_cast<size_t>(num_rows * shape.num_outputs), NAN);
  const LinearProduct product{panels.data(), nullptr, x.data(), y.data(), shape.num_inputs, shape.num_outputs};
  if (split > 0) kernels.multiply(product, {0, num_rows, 0, split});
  kernels.multiply(product, {0, num_rows, split, num_panels});
  return y;
}

TEST(LinearKernels, GiveTheSameBitsOnEveryInstructionSet) {
  const Shape shape{205, 43};
  const std::vector<Bf16> weight = random_weights(shape.num_outputs * shape.num_inputs, 4);
  for (int64_t num_rows = 1; num_rows <= 27; ++num_rows) {
    const std::vector<float> x = random_floats(num_rows * shape.num_inputs, 5);
    const std::vector<float> expected = run_kernel(linear_kernels(Isa::kPortable), weight, x, shape);
    for (const LinearKernels& kernels : all_kernels()) {
      ASSERT_EQ(run_kernel(kernels, weight, x, shape), expected)
          << "panels of " << kernels.panel_width << ", " << num_rows << " rows";
    }
  }
}

TEST(LinearKernels, GiveTheSameBitsHoweverThreadsSplitThePanels) {
  const int64_t num_inputs = 21, num_outputs = 400, num_rows = 7;
  const std::vector<Bf16> weight = random_weights(num_outputs * num_inputs, 12);
  const std::vector<float> x = random_floats(num_rows * num_inputs, 13);
  for (const LinearKernels& kernels : all_kernels()) {
    const std::vector<float> expected = run_kernel(kernels, weight, x, {num_outputs, num_inputs});
    for (const int64_t split : {1, 2, 5, 9}) {
      ASSERT_EQ(run_kernel(kernels, weight, x, {num_outputs, num_inputs}, split), expected) << "split at " << split;
    }
  }
}

TEST(PackedLinear, ARowsBitsDoNotDependOnTheBatch) {
  const int64_t num_inputs = 48, num_outputs = 80, num_rows = 700;  // several chunks of rows
  const PackedLinear linear(random_weights(num_outputs * num_inputs, 6), num_outputs, num_inputs);
  const std::vector<float> x = random_floats(num_rows * num_inputs, 7);
  std::vector<float> together(static_cast<size_t>(num_rows * num_outputs));
  linear.forward(x.data(), num_rows, together.data());
  std::vector<float> alone(together.size());
  for (int64_t m = 0; m < num_rows; ++m) linear.forward(x.data() + m * num_inputs, 1, alone.data() + m * num_outputs);
  EXPECT_EQ(together, alone);
}

TEST(PackedLinear, IsTheMatrixProductWithBias) {
  // W = [[1, 2], [3, -4], [0.5, 0]], b = [10, 20, 30], x = [3, 5]: 3 + 10 + 10, 9 - 20 + 20, 1.5 + 30.
  std::vector<Bf16> weight;
  for (const float value : {1.0f, 2.0f, 3.0f, -4.0f, 0.5f, 0.0f}) weight.push_back(to_bf16(value));
  const std::vector<float> bias = {10, 20, 30};
  const PackedLinear linear(weight, 3, 2, bias);
  const std::vector<float> x = {3, 5};
  std::vector<float> y(3);
  linear.forward(x.data(), 1, y.data());
  EXPECT_THAT(y, ::testing::ElementsAre(23, 9, 31.5f));
}

TEST(PackedLinear, CopiesARowBack) {
  const int64_t num_inputs = 9, num_outputs = 35;
  const std::vector<Bf16> weight = random_weights(num_outputs * num_inputs, 8);
  const PackedLinear linear(weight, num_outputs, num_inputs);
  for (int64_t n = 0; n < num_outputs; ++n) {
    std::vector<float> row(static_cast<size_t>(num_inputs));
    linear.copy_row(n, row.data());
    for (int64_t k = 0; k < num_inputs; ++k) {
      ASSERT_EQ(row[static_cast<size_t>(k)], to_float(weight[static_cast<size_t>(n * num_inputs + k)]))
          << n << ", " << k;
    }
  }
}

TEST(PackTogether, GivesTheOutputsOfItsPartsInOrder) {
  const int64_t num_inputs = 12;
  const std::vector<Bf16> first = random_weights(20 * num_inputs, 9), second = random_weights(7 * num_inputs, 10);
  const std::vector<std::span<const Bf16>> parts = {first, second};
  const PackedLinear stacked = pack_together(parts, num_inputs);
  const std::vector<float> x = random_floats(num_inputs, 11);
  std::vector<float> together(27), alone(27);
  stacked.forward(x.data(), 1, together.data());
  PackedLinear(first, 20, num_inputs).forward(x.data(), 1, alone.data());
  PackedLinear(second, 7, num_inputs).forward(x.data(), 1, alone.data() + 20);
  EXPECT_EQ(together, alone);
}

TEST(PackedLinear, RejectsAWeightOfAnotherSize) {
  const std::vector<Bf16> weight(11);
  EXPECT_THAT([&] { PackedLinear(weight, 3, 4); },
              ThrowsMessage<ShapeError>(HasSubstr("expected a weight of [3, 4], got 11 values")));
}

TEST(PackedLinear, RejectsABiasOfAnotherSize) {
  const std::vector<Bf16> weight(12);
  const std::vector<float> bias(2);
  EXPECT_THAT([&] { PackedLinear(weight, 3, 4, bias); },
              ThrowsMessage<ShapeError>(HasSubstr("bias of [3] or none, got 2")));
}

TEST(PackTogether, RejectsAPartThatIsNoWholeNumberOfRows) {
  const std::vector<Bf16> weight(11);
  const std::vector<std::span<const Bf16>> parts = {weight};
  EXPECT_THAT([&] { pack_together(parts, 4); },
              ThrowsMessage<ShapeError>(HasSubstr("rows of 4 inputs, got 11 values")));
}

}  // namespace
}  // namespace speculators
