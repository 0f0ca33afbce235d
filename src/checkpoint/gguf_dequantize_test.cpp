#include "checkpoint/gguf_dequantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

// Halves: 0x3c00 = 1, 0x4000 = 2, 0x3800 = 0.5.
const std::string kOne("\x00\x3c", 2), kTwo("\x00\x40", 2), kHalf("\x00\x38", 2);

std::vector<float> values_of(GgufType type, const std::string& bytes, std::vector<int64_t> shape = {1}) {
  return dequantize({type, std::move(shape), std::as_bytes(std::span(bytes))});
}

// `count` copies of a byte, with byte `at` replaced.
std::string bytes_with(size_t count, char all, size_t at, char other) {
  std::string bytes(count, all);
  bytes[at] = other;
  return bytes;
}

TEST(GgufDequantize, PlainKindsAreConverted) {
  EXPECT_THAT(values_of(GgufType::kF32, std::string("\0\0\x80\x3f\0\0\0\xc0", 8)), ElementsAre(1.0f, -2.0f));
  EXPECT_THAT(values_of(GgufType::kF16, kTwo + kHalf), ElementsAre(2.0f, 0.5f));
  EXPECT_THAT(values_of(GgufType::kBF16, std::string("\x80\x3f\0\xc0", 4)), ElementsAre(1.0f, -2.0f));
}

TEST(GgufDequantize, Q4_0CentresOnEight) {
  // Byte 3 is 0x2f: element 3 is 15 - 8 = 7 steps of 2, element 19 is 2 - 8 = -6 steps. The others are 0 - 8.
  const auto got = values_of(GgufType::kQ4_0, kTwo + bytes_with(16, 0, 3, 0x2f));
  ASSERT_THAT(got, SizeIs(32));
  EXPECT_EQ(got[3], 14.0f);
  EXPECT_EQ(got[19], -12.0f);
  EXPECT_EQ(got[0], -16.0f);
}

TEST(GgufDequantize, Q4_1AddsAMinimum) {
  // step 2, minimum 0.5; byte 0 is 0xa3: element 0 is 3 * 2 + 0.5, element 16 is 10 * 2 + 0.5
  const auto got = values_of(GgufType::kQ4_1, kTwo + kHalf + bytes_with(16, 0, 0, '\xa3'));
  EXPECT_EQ(got[0], 6.5f);
  EXPECT_EQ(got[16], 20.5f);
  EXPECT_EQ(got[1], 0.5f);
}

TEST(GgufDequantize, Q5_0TakesItsFifthBitsFromAWord) {
  // high bits 0x00020001: elements 0 and 17 have the fifth bit. Nibbles are 1: 1 + 16 - 16 = 1, else 1 - 16 = -15.
  const auto got = values_of(GgufType::kQ5_0, kOne + std::string("\1\0\2\0", 4) + std::string(16, '\x11'));
  EXPECT_EQ(got[0], 1.0f);
  EXPECT_EQ(got[17], 1.0f);
  EXPECT_EQ(got[1], -15.0f);
  EXPECT_EQ(got[16], -15.0f);
}

TEST(GgufDequantize, Q5_1AddsAMinimum) {
  const auto got = values_of(GgufType::kQ5_1, kTwo + kHalf + std::string("\1\0\0\0", 4) + std::string(16, '\x11'));
  EXPECT_EQ(got[0], 34.5f);  // (1 + 16) * 2 + 0.5
  EXPECT_EQ(got[31], 2.5f);  // 1 * 2 + 0.5
}

TEST(GgufDequantize, Q8_0IsSigned) {
  const auto got = values_of(GgufType::kQ8_0, kHalf + bytes_with(32, 4, 31, '\x80'));
  EXPECT_EQ(got[0], 2.0f);
  EXPECT_EQ(got[31], -64.0f);
}

// 12 bytes of scales: group 1 has scale 3 and minimum 5; group 6 has scale 2 + 1 * 16 and minimum 4 + 2 * 16.
std::string group_scales() {
  std::string packed(12, '\0');
  packed[1] = 3;
  packed[5] = 5;
  packed[10] = 0x42;                      // low 4 bits of scale and minimum of group 6
  packed[2] = static_cast<char>(1 << 6);  // top bits of its scale
  packed[6] = static_cast<char>(2 << 6);  // top bits of its minimum
  return packed;
}

TEST(GgufDequantize, Q4_KUnpacksScalesOfSixBits) {
  // step 2, minimum 0.5, every nibble 7. Group 1: 2 * 3 * 7 - 0.5 * 5; group 6: 2 * 18 * 7 - 0.5 * 36; group 0 has no
  // scale.
  const auto got = values_of(GgufType::kQ4_K, kTwo + kHalf + group_scales() + std::string(128, '\x77'));
  ASSERT_THAT(got, SizeIs(256));
  EXPECT_THAT(std::vector(got.begin() + 32, got.begin() + 64), Each(39.5f));
  EXPECT_THAT(std::vector(got.begin() + 192, got.begin() + 224), Each(234.0f));
  EXPECT_THAT(std::vector(got.begin(), got.begin() + 32), Each(0.0f));
}

TEST(GgufDequantize, Q4_KGroupsSharePairsOfNibbles) {
  // Byte 5 of the first 32 is 0x21: element 5 of group 0 (low) and of group 1 (high). Only group 1 has a scale.
  const auto got = values_of(GgufType::kQ4_K, kTwo + kHalf + group_scales() + bytes_with(128, 0, 5, 0x21));
  EXPECT_EQ(got[32 + 5], 9.5f);  // 2 * 3 * 2 - 0.5 * 5
  EXPECT_EQ(got[32 + 4], -2.5f);
}

TEST(GgufDequantize, Q5_KTakesBitGForGroupG) {
  // High byte 0 is 0x42: bits 1 and 6, so element 0 of groups 1 and 6 gains 16 steps. Nibbles are 0.
  const auto got =
      values_of(GgufType::kQ5_K, kTwo + kHalf + group_scales() + bytes_with(32, 0, 0, 0x42) + std::string(128, '\0'));
  EXPECT_EQ(got[32], 93.5f);    // 2 * 3 * 16 - 2.5
  EXPECT_EQ(got[192], 558.0f);  // 2 * 18 * 16 - 18
  EXPECT_EQ(got[33], -2.5f);
}

TEST(GgufDequantize, Q6_KJoinsNibblesAndTopBits) {
  // Element 128 + 2 * 32 + 1 (second half, quarter 2): high nibble of byte 64 + 1, top bits 4-5 of byte 32 + 1,
  // scale 12.
  std::string low(128, '\0'), high(64, '\0'), scales(16, '\0');
  low[65] = static_cast<char>(0xa0);
  high[33] = static_cast<char>(3 << 4);
  scales[12] = -3;
  const auto got = values_of(GgufType::kQ6_K, low + high + scales + kHalf);
  EXPECT_EQ(got[193], -39.0f);  // 0.5 * -3 * (10 + 3 * 16 - 32)
  EXPECT_EQ(got[192], 48.0f);   // 0.5 * -3 * (0 - 32)
  EXPECT_EQ(got[0], 0.0f);
}

}  // namespace
}  // namespace speculators
