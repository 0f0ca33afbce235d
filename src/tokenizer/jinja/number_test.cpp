#include "tokenizer/jinja/number.h"

#include <gtest/gtest.h>

#include <limits>

namespace speculators::jinja {
namespace {

TEST(Number, FloatsPrintTheShortestTextThatReadsBack) {
  EXPECT_EQ(format_float(0.1), "0.1");
  EXPECT_EQ(format_float(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(format_float(5e-324), "5e-324");
}

TEST(Number, FloatsSwitchToExponentsWherePythonDoes) {
  EXPECT_EQ(format_float(1e15), "1000000000000000.0");
  EXPECT_EQ(format_float(1e16), "1e+16");
  EXPECT_EQ(format_float(0.0001), "0.0001");
  EXPECT_EQ(format_float(0.00001), "1e-05");
}

TEST(Number, FloatsKeepTheirSignAndPoint) {
  EXPECT_EQ(format_float(-0.0), "-0.0");
  EXPECT_EQ(format_float(100.0), "100.0");
  EXPECT_EQ(format_float(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(Number, IntegersReachBeyond64Bits) {
  EXPECT_EQ(format_int(static_cast<Int>(std::numeric_limits<uint64_t>::max()) * 10), "184467440737095516150");
}

TEST(Number, IntegersParseAsPythonDoes) {
  EXPECT_EQ(parse_int(" -1_000 ", 10), Int{-1000});
  EXPECT_EQ(parse_int("0x1f", 16), Int{31});
  EXPECT_EQ(parse_int("0b11", 0), Int{3});
  EXPECT_EQ(parse_int("٣", 10), Int{3});
}

TEST(Number, WhatIsNoIntegerIsRefused) {
  for (const char* text : {"", "-", "1__0", "_1", "1_", "12abc", "1.0", "0x1f"}) {
    EXPECT_FALSE(parse_int(text, 10)) << text;
  }
}

TEST(Number, AnIntegerBeyond128BitsIsAnErrorNotAWrap) {
  EXPECT_THROW(parse_int(std::string(50, '9'), 10), TemplateError);
}

TEST(Number, FloatsParseAsPythonDoes) {
  EXPECT_EQ(parse_float(" +1_0.5e1 "), 105.0);
  EXPECT_EQ(parse_float(".5"), 0.5);
  EXPECT_EQ(parse_float("1e400"), std::numeric_limits<double>::infinity());
}

TEST(Number, WhatIsNoFloatIsRefused) {
  for (const char* text : {"", "+", "+-1", "1__0", "0x1", "1,5", "nan(1)", "1e"}) {
    EXPECT_FALSE(parse_float(text)) << text;
  }
}

}  // namespace
}  // namespace speculators::jinja
