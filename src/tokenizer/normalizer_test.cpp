#include "tokenizer/normalizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

std::string normalize(std::string_view json, std::string_view text) {
  return Normalizer::parse(Json::parse(json), "t.json: normalizer").apply(text);
}

TEST(Normalizer, LeavesTextAloneWithoutSteps) {
  EXPECT_TRUE(Normalizer::parse(Json(), "t.json").empty());
  EXPECT_EQ(normalize("null", "e\u0301"), "e\u0301");
}

TEST(Normalizer, ComposesOnlyWhatComposes) {
  EXPECT_EQ(normalize(R"({"type":"NFC"})", "cafe\u0301 e"), "caf\u00e9 e");
  EXPECT_EQ(normalize(R"({"type":"NFC"})", "\u1112\u1161\u11ab"), "\ud55c");
  EXPECT_EQ(normalize(R"({"type":"NFC"})", "\u4f60\u2126\u597d"), "\u4f60\u03a9\u597d");
  EXPECT_EQ(normalize(R"({"type":"NFC"})", "\u0301e"), "\u0301e");             // nothing before the mark
  EXPECT_EQ(normalize(R"({"type":"NFC"})", "a\u0345\u0301"), "\u00e1\u0345");  // marks change places
}

TEST(Normalizer, LeavesTextUntouchedWhenNothingComposes) {
  Normalizer::Buffers buffers;
  const std::string text = "caf\u00e9 \u4f60\u597d";
  const auto normal = Normalizer::parse(Json::parse(R"({"type":"NFC"})"), "t.json").apply(text, buffers);
  EXPECT_EQ(normal.data(), text.data());
}

// The package's normalisers know Unicode 9 or 10: U+0898 is a mark of combining class 220 since Unicode 14.
TEST(Normalizer, DoesNotReorderAcrossCharactersThatThePackageDoesNotKnow) {
  EXPECT_EQ(normalize(R"({"type":"NFC"})", "a\u0345\u0898"), "a\u0345\u0898");
  EXPECT_EQ(normalize(R"({"type":"NFD"})", "a\u0345\u0898"), "a\u0345\u0898");
}

TEST(Normalizer, DecomposesAndFoldsCompatibilityForms) {
  EXPECT_EQ(normalize(R"({"type":"NFD"})", "\u00e9"), "e\u0301");
  EXPECT_EQ(normalize(R"({"type":"NFKC"})", "\ufb01\u00bd\uff21"), "fi1\u20442A");
  EXPECT_EQ(normalize(R"({"type":"NFKD"})", "\u00e9\u00b2"), "e\u03012");
}

TEST(Normalizer, LowersStripsAndPrepends) {
  EXPECT_EQ(normalize(R"({"type":"Lowercase"})", "\u00c9A\u0130"), "\u00e9ai\u0307");
  EXPECT_EQ(normalize(R"({"type":"Strip","strip_left":true,"strip_right":false})", "\u3000 a "), "a ");
  EXPECT_EQ(normalize(R"({"type":"Strip","strip_left":false,"strip_right":true})", " a \u3000"), " a");
  EXPECT_EQ(normalize(R"({"type":"Prepend","prepend":"_"})", "a"), "_a");
  EXPECT_EQ(normalize(R"({"type":"Prepend","prepend":"_"})", ""), "");
}

TEST(Normalizer, ReplacesStringsAndPatterns) {
  EXPECT_EQ(normalize(R"({"type":"Replace","pattern":{"String":" "},"content":"_"})", " a b"), "_a_b");
  EXPECT_EQ(normalize(R"({"type":"Replace","pattern":{"String":"aa"},"content":""})", "aaab"), "ab");
  EXPECT_EQ(normalize(R"({"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "})", "a \n b"), "a b");
}

TEST(Normalizer, RunsASequenceInOrder) {
  EXPECT_EQ(normalize(R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":" "},
                          {"type":"Replace","pattern":{"String":" "},"content":"_"}]})",
                      "a b"),
            "_a_b");
}

TEST(Normalizer, TellsWhenTheBeginningOfTheTextIsCutOff) {
  const auto keeps_start = [](std::string_view json, std::string_view text) {
    Normalizer::Buffers buffers;
    Normalizer::parse(Json::parse(json), "t.json").apply(text, buffers);
    return buffers.keeps_start;
  };
  EXPECT_FALSE(keeps_start(R"({"type":"Strip","strip_left":true,"strip_right":true})", " a"));
  EXPECT_TRUE(keeps_start(R"({"type":"Strip","strip_left":true,"strip_right":true})", "a "));
  EXPECT_TRUE(keeps_start(R"({"type":"Replace","pattern":{"String":" "},"content":"_"})", " a"));
  EXPECT_FALSE(keeps_start(R"({"type":"Replace","pattern":{"String":" "},"content":""})", " a"));
  EXPECT_FALSE(keeps_start(R"({"type":"Replace","pattern":{"Regex":" +"},"content":"_"})", "  a"));
}

TEST(Normalizer, NamesAPartItDoesNotKnow) {
  try {
    normalize(R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Precompiled"}]})", "");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("t.json: normalizer.normalizers[1]: type: expected NFC"));
    EXPECT_THAT(error.what(), testing::HasSubstr("found \"Precompiled\""));
  }
}

TEST(Normalizer, RefusesPartsOfAWrongShape) {
  for (const char* json :
       {"7", "{}", R"({"type":7})", R"({"type":"Replace"})", R"({"type":"Prepend"})", R"({"type":"Sequence"})",
        R"({"type":"Sequence","normalizers":{}})", R"({"type":"Sequence","normalizers":[1]})",
        R"({"type":"Replace","pattern":{},"content":""})",
        R"({"type":"Replace","pattern":{"Regex":"("},"content":""})"}) {
    EXPECT_THROW(normalize(json, "a"), DataError) << json;
  }
}

}  // namespace
}  // namespace speculators
