#include "kernels/ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "kernels/ops_kernels.h"
#include "kernels/plain_math.h"
#include "kernels/test_data.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr int64_t kWidths[] = {1, 2, 4, 7, 8, 15, 16, 17, 31, 64, 100, 576, 1000};

// Each instruction set against the plain twin, for widths with and without a rest.
class OpsKernelsOf : public ::testing::TestWithParam<Isa> {
 protected:
  const OpsKernels& fast() const { return ops_kernels(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Isas, OpsKernelsOf, ::testing::ValuesIn(list_usable_isas()),
                         [](const auto& info) { return std::string(isa_name(info.param)); });

TEST_P(OpsKernelsOf, NormEqualsItsPlainTwin) {
  for (const int64_t width : kWidths) {
    const std::vector<float> x = random_floats(3 * width, 1), delta = random_floats(3 * width, 2);
    const std::vector<float> weight = random_floats(width, 3);
    for (const bool with_delta : {false, true}) {
      std::vector<float> x_fast = x, x_plain = x, y_fast(x.size(), NAN), y_plain(x.size(), NAN);
      const float* change = with_delta ? delta.data() : nullptr;
      fast().norm({x_fast.data(), change, weight.data(), y_fast.data(), width, 1e-5f}, 0, 3);
      kPlainOps.norm({x_plain.data(), change, weight.data(), y_plain.data(), width, 1e-5f}, 0, 3);
      ASSERT_EQ(x_fast, x_plain) << width;
      ASSERT_EQ(y_fast, y_plain) << width;
    }
  }
}

TEST_P(OpsKernelsOf, SiluMulEqualsItsPlainTwin) {
  for (const int64_t width : kWidths) {
    const std::vector<float> gate = random_floats(width, 1, 20.0f), up = random_floats(width, 2);
    std::vector<float> y_fast(gate.size(), NAN), y_plain(gate.size(), NAN);
    fast().silu_mul(gate.data(), up.data(), width, y_fast.data());
    kPlainOps.silu_mul(gate.data(), up.data(), width, y_plain.data());
    ASSERT_EQ(y_fast, y_plain) << width;
  }
}

TEST_P(OpsKernelsOf, AddEqualsItsPlainTwin) {
  for (const int64_t width : kWidths) {
    std::vector<float> x_fast = random_floats(width, 1), x_plain = x_fast;
    const std::vector<float> delta = random_floats(width, 2);
    fast().add(x_fast.data(), delta.data(), width);
    kPlainOps.add(x_plain.data(), delta.data(), width);
    ASSERT_EQ(x_fast, x_plain) << width;
  }
}

TEST_P(OpsKernelsOf, RopeEqualsItsPlainTwin) {
  for (const int64_t half : {1, 2, 7, 8, 20, 32, 50}) {
    const std::vector<float> cosines = random_floats(half, 1), sines = random_floats(half, 2);
    std::vector<float> x_fast = random_floats(3 * (2 * half + 3), 3), x_plain = x_fast;
    fast().rope({x_fast.data(), cosines.data(), sines.data(), 3, 2 * half + 3, half});
    kPlainOps.rope({x_plain.data(), cosines.data(), sines.data(), 3, 2 * half + 3, half});
    ASSERT_EQ(x_fast, x_plain) << half;
  }
}

TEST_P(OpsKernelsOf, SoftmaxEqualsItsPlainTwin) {
  for (const int64_t count : kWidths) {
    for (const float inverse_temperature : {1.0f, 0.7f, 3.0f}) {
      std::vector<float> fast_row = random_floats(count, 1, 10.0f), plain_row = fast_row;
      fast().softmax(fast_row.data(), count, inverse_temperature);
      kPlainOps.softmax(plain_row.data(), count, inverse_temperature);
      ASSERT_EQ(fast_row, plain_row) << count << " at " << inverse_temperature;
    }
  }
}

TEST_P(OpsKernelsOf, ArgmaxEqualsItsPlainTwin) {
  for (const int64_t count : kWidths) {
    const std::vector<float> values = random_floats(count, static_cast<uint32_t>(count));
    ASSERT_EQ(fast().argmax(values.data(), count), kPlainOps.argmax(values.data(), count)) << count;
  }
}

TEST_P(OpsKernelsOf, ArgmaxTakesTheFirstOfEqualValues) {
  std::vector<float> values(100, -5.0f);
  values[37] = values[38] = values[90] = -1.0f;
  EXPECT_EQ(fast().argmax(values.data(), 100), 37);
}

TEST(PlainExp, IsWithinTwoUlpOfTheTrueValue) {
  for (float x = -87.3f; x < 88.3f; x += 0.00173f) {
    const double truth = std::exp(static_cast<double>(x));
    const double ulp = std::ldexp(1.0, std::ilogb(truth) - 23);
    ASSERT_LT(std::abs(plain_exp(x) - truth), 2.0 * ulp) << x;
  }
}

TEST(PlainExp, IsZeroForWhatUnderflowsAndExactAtZero) {
  EXPECT_EQ(plain_exp(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_EQ(plain_exp(-100.0f), 0.0f);
  EXPECT_EQ(plain_exp(0.0f), 1.0f);
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  // mean(x^2) of (3, 4) is 12.5.
  const std::vector<float> x = {3, 4}, weight = {1, 10};
  std::vector<float> y(2);
  rms_norm(x.data(), weight.data(), 1, 2, 0.0f, y.data());
  EXPECT_THAT(y, ElementsAre(FloatEq(3 / std::sqrt(12.5f)), FloatEq(40 / std::sqrt(12.5f))));
}

TEST(RmsNorm, MayWriteOverItsInput) {
  const std::vector<float> weight = random_floats(100, 1);
  std::vector<float> x = random_floats(200, 2), y(200);
  rms_norm(x.data(), weight.data(), 2, 100, 1e-5f, y.data());
  rms_norm(x.data(), weight.data(), 2, 100, 1e-5f, x.data());
  EXPECT_EQ(x, y);
}

TEST(AddRmsNorm, IsTheSumAndItsNorm) {
  std::vector<float> x = random_floats(3 * 50, 1), y(150), expected(150);
  const std::vector<float> delta = random_floats(150, 2), weight = random_floats(50, 3);
  std::vector<float> sum = x;
  add(sum.data(), delta.data(), 150);
  rms_norm(sum.data(), weight.data(), 3, 50, 1e-5f, expected.data());
  add_rms_norm(x.data(), delta.data(), weight.data(), 3, 50, 1e-5f, y.data());
  EXPECT_EQ(x, sum);
  EXPECT_EQ(y, expected);
}

TEST(SiluMul, GatesTheSecondHalf) {
  const std::vector<float> gate_up = {1, -2, 10, 100, 0, 5, 6, 7};  // two rows of width 2
  std::vector<float> y(4);
  silu_mul(gate_up.data(), 2, 2, y.data());
  const auto silu = [](float x) { return x / (1 + std::exp(-x)); };
  EXPECT_THAT(y, Pointwise(FloatNear(1e-5f), {silu(1) * 10, silu(-2) * 100, 0.0f, silu(5) * 7}));
}

TEST(SiluMul, StaysFiniteForLargeGates) {
  const std::vector<float> gate_up = {-1000, 1000, 1, 1};
  std::vector<float> y(2);
  silu_mul(gate_up.data(), 1, 2, y.data());
  EXPECT_THAT(y, ElementsAre(FloatNear(0.0f, 1e-30f), 1000.0f));
}

TEST(ApplyRope, RotatesEachPairByItsPositionsAngle) {
  // One head of four: pairs (0, 2) and (1, 3). Position 1 turns the first pair by 90 degrees and leaves the second.
  RopeTable table{{1, 1, 0, 1}, {0, 0, 1, 0}, 2};
  const std::vector<int64_t> positions = {1, 0};
  std::vector<float> x = {1, 2, 3, 4, 99, 5, 6, 7, 8, 99};  // row stride 5
  apply_rope(x.data(), positions.data(), 2, 1, 4, 5, table);
  EXPECT_THAT(x, ElementsAre(-3, 2, 1, 4, 99, 5, 6, 7, 8, 99));
}

TEST(Softmax, DividesByTheTemperature) {
  std::vector<float> logits = {0, std::log(2.0f), std::log(4.0f)};
  softmax(logits.data(), 3, 2.0f);  // squares the odds: 1, 4, 16
  EXPECT_THAT(logits, Pointwise(FloatNear(1e-6f), {1 / 21.0f, 4 / 21.0f, 16 / 21.0f}));
}

TEST(Softmax, SumsToOneOverALargeVocabulary) {
  std::vector<float> logits = random_floats(49152, 1, 3.0f);
  softmax(logits.data(), 49152, 1.0f);
  double sum = 0;
  for (const float probability : logits) sum += probability;
  EXPECT_NEAR(sum, 1.0, 1e-5);
}

TEST(RowOps, GiveARowTheSameBitsInAnyBatch) {
  const int64_t num_rows = 400, width = 576;  // enough for several threads
  const std::vector<float> x = random_floats(num_rows * width, 1), weight = random_floats(width, 2);
  std::vector<float> together(x.size()), alone(x.size());
  rms_norm(x.data(), weight.data(), num_rows, width, 1e-5f, together.data());
  for (int64_t m = 0; m < num_rows; ++m) {
    rms_norm(x.data() + m * width, weight.data(), 1, width, 1e-5f, alone.data() + m * width);
  }
  EXPECT_EQ(together, alone);
}

}  // namespace
}  // namespace speculators
