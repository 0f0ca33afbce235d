#include "base/bf16.h"

#include <gtest/gtest.h>

#include <cmath>

namespace speculators {
namespace {

TEST(Bf16, TiesRoundToEven) {
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // halfway, even below
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);  // halfway, even above
}

TEST(Bf16, NanStaysNan) { EXPECT_TRUE(std::isnan(to_float(to_bf16(std::nanf(""))))); }

TEST(Half, SubnormalAndNormalValuesAreExact) {
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0xc100), -2.5f);
}

}  // namespace
}  // namespace speculators
