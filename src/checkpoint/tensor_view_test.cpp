#include "checkpoint/tensor_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(TensorView, CountsElementsOfScalarsAndEmptyShapes) {
  EXPECT_EQ((TensorView{DType::kF32, {}, {}}.num_elements()), 1);
  EXPECT_EQ((TensorView{DType::kF32, {3, 0}, {}}.num_elements()), 0);
}

TEST(TensorView, WritesAShape) {
  EXPECT_EQ(shape_string(std::vector<int64_t>{4096, 3072}), "[4096, 3072]");
  EXPECT_EQ(shape_string({}), "[]");
}

TEST(TensorView, RoundsFloatsToNearestEvenBf16) {
  // 1 + 2^-8 lies halfway between 1 and 1 + 2^-7: the even one is 1. 1 + 3 * 2^-8 goes up to 1 + 2^-6.
  const Tensor tensor = make_tensor({2}, std::vector<float>{1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f});
  const auto got = to_bf16s(tensor.view(), "t");
  EXPECT_EQ(to_float(got[0]), 1.0f);
  EXPECT_EQ(to_float(got[1]), 1.0f + 0x1p-6f);
}

TEST(TensorView, ReadsHalvesExactly) {
  // 0x3c00 = 1, 0xc000 = -2, 0x0001 = 2^-24 (smallest subnormal), 0x7c00 = infinity
  Tensor tensor{DType::kF16, {4}, {}};
  for (const uint16_t bits : {0x3c00, 0xc000, 0x0001, 0x7c00}) {
    tensor.bytes.push_back(std::byte(bits & 0xff));
    tensor.bytes.push_back(std::byte(bits >> 8));
  }
  EXPECT_THAT(to_floats(tensor.view(), "t"), ElementsAre(1.0f, -2.0f, 0x1p-24f, INFINITY));
}

TEST(TensorView, ReadsFromAnUnalignedAddress) {
  std::vector<std::byte> buffer(9);
  const float value = 2.5f;
  std::memcpy(buffer.data() + 1, &value, sizeof value);
  const TensorView view{DType::kF32, {1}, std::span(buffer).subspan(1, 4)};
  EXPECT_THAT(to_floats(view, "t"), ElementsAre(2.5f));
}

TEST(TensorView, ReadsIntegersOfEveryWidth) {
  const Tensor wide = make_tensor({2}, std::vector<int64_t>{-1, int64_t{1} << 40});
  EXPECT_THAT(to_ints(wide.view(), "t"), ElementsAre(-1, int64_t{1} << 40));
  const Tensor narrow{DType::kU8, {1}, {std::byte{255}}};
  EXPECT_THAT(to_ints(narrow.view(), "t"), ElementsAre(255));
  const Tensor truth = make_bool_tensor({2}, {true, false});
  EXPECT_THAT(to_ints(truth.view(), "t"), ElementsAre(1, 0));
}

TEST(TensorView, RefusesTheWrongDtypeByName) {
  const Tensor tensor = make_tensor({1}, std::vector<int64_t>{1});
  EXPECT_THAT([&] { to_floats(tensor.view(), "fc.weight"); },
              ThrowsMessage<DataError>(HasSubstr("fc.weight: expected dtype F32, F16 or BF16, found I64")));
}

TEST(TensorView, RefusesValuesThatDoNotFillTheShape) {
  EXPECT_THAT(
      [] {
        make_tensor({2, 2}, std::vector<float>{1, 2, 3});
      },
      ThrowsMessage<ShapeError>(HasSubstr("shape [2, 2] expects 4 values, found 3")));
}

}  // namespace
}  // namespace speculators
