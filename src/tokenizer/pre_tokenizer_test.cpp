#include "tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> split(const PreTokenizer& pre_tokenizer, std::string_view text, bool starts_input = true) {
  PreTokenized work;
  pre_tokenizer.split(text, starts_input, work);
  std::vector<std::string> words;
  for (const Piece& piece : work.pieces) words.emplace_back(work.text.substr(piece.begin, piece.end - piece.begin));
  return words;
}

PreTokenizer parse(std::string_view json, bool model_takes_bytes = true) {
  return PreTokenizer::parse(Json::parse(json), model_takes_bytes, "t.json: pre_tokenizer");
}

std::vector<std::string> split(std::string_view json, std::string_view text) { return split(parse(json), text); }

std::vector<std::string> split_at_dash(const std::string& behavior, const std::string& pattern, bool invert = false) {
  const Json json = {{"type", "Split"}, {"pattern", Json::parse(pattern)}, {"behavior", behavior}, {"invert", invert}};
  return split(PreTokenizer::parse(json, true, "t.json"), "the-final--countdown");
}

TEST(PreTokenizer, KeepsTheTextWholeWithoutStages) {
  EXPECT_THAT(split("null", "a b"), ElementsAre("a b"));
  EXPECT_TRUE(split("null", "").empty());
}

class SplitBehaviors : public testing::TestWithParam<const char*> {};

TEST_P(SplitBehaviors, TreatDelimitersAsTheirNamesSay) {
  const std::string pattern = GetParam();
  EXPECT_THAT(split_at_dash("Removed", pattern), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(split_at_dash("Isolated", pattern), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(split_at_dash("MergedWithPrevious", pattern), ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(split_at_dash("MergedWithNext", pattern), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(split_at_dash("Contiguous", pattern), ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(split_at_dash("Removed", pattern, true), ElementsAre("-", "-", "-"));
}
INSTANTIATE_TEST_SUITE_P(StringAndRegex, SplitBehaviors, testing::Values(R"({"String":"-"})", R"({"Regex":"-"})"));

TEST(ByteLevel, LeavesRawBytesToAModelThatTakesThem) {
  const char* json = R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true})";
  EXPECT_TRUE(parse(json).yields_bytes());
  EXPECT_THAT(split(json, "a caf\u00e9!"), ElementsAre("a", " caf\u00e9", "!"));
  EXPECT_FALSE(parse(json, false).yields_bytes());
  EXPECT_THAT(split(parse(json, false), "a caf\u00e9!"), ElementsAre("a", "\u0120caf\u00c3\u00a9", "!"));
}

TEST(ByteLevel, SpellsItsWordsOutWhenSomethingFollows) {
  const PreTokenizer pre_tokenizer = parse(R"({"type":"Sequence","pretokenizers":[
      {"type":"ByteLevel","add_prefix_space":false,"use_regex":false},{"type":"Digits","individual_digits":true}]})");
  EXPECT_FALSE(pre_tokenizer.yields_bytes());
  EXPECT_THAT(split(pre_tokenizer, "a 12"), ElementsAre("a\u0120", "1", "2"));
}

TEST(ByteLevel, PutsASpaceBeforeEveryPieceThatLacksOne) {
  EXPECT_THAT(split(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
                        {"type":"ByteLevel","add_prefix_space":true,"use_regex":false}]})",
                    " a1b"),
              ElementsAre(" a", " 1", " b"));
}

TEST(Digits, CutAloneOrInRuns) {
  EXPECT_THAT(split(R"({"type":"Digits","individual_digits":true})", "  12a\u00bd"),
              ElementsAre("  ", "1", "2", "a", "\u00bd"));
  EXPECT_THAT(split(R"({"type":"Digits","individual_digits":false})", "  12a"), ElementsAre("  ", "12", "a"));
}

TEST(Metaspace, MarksWordsAndTheBeginning) {
  const char* first = R"({"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true})";
  EXPECT_THAT(split(first, "a b"), ElementsAre("_a", "_b"));
  EXPECT_THAT(split(parse(first), "a b", /*starts_input=*/false), ElementsAre("a", "_b"));
  EXPECT_THAT(split(first, " a"), ElementsAre("_a"));
  EXPECT_THAT(split(R"({"type":"Metaspace","replacement":"_","add_prefix_space":true})", "a  b"),
              ElementsAre("_a", "_", "_b"));
  EXPECT_THAT(split(R"({"type":"Metaspace","replacement":"_","prepend_scheme":"never","split":false})", "a b"),
              ElementsAre("a_b"));
}

TEST(PlainPreTokenizers, CutAsTheyAreNamed) {
  EXPECT_THAT(split(R"({"type":"Punctuation"})", "a,b!!"), ElementsAre("a", ",", "b", "!", "!"));
  EXPECT_THAT(split(R"({"type":"Punctuation","behavior":"Contiguous"})", "b!!"), ElementsAre("b", "!!"));
  EXPECT_THAT(split(R"({"type":"Whitespace"})", "it's  a_1 !?x"), ElementsAre("it", "'", "s", "a_1", "!?", "x"));
  EXPECT_THAT(split(R"({"type":"WhitespaceSplit"})", " a,b \u3000c"), ElementsAre("a,b", "c"));
  EXPECT_THAT(split(R"({"type":"CharDelimiterSplit","delimiter":"|"})", "a||b"), ElementsAre("a", "b"));
}

TEST(PreTokenizer, NamesAPartItDoesNotKnow) {
  try {
    parse(R"({"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"UnicodeScripts"}]})");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("t.json: pre_tokenizer.pretokenizers[1]: type: expected ByteLevel"));
    EXPECT_THAT(error.what(), HasSubstr("found \"UnicodeScripts\""));
  }
}

TEST(PreTokenizer, RefusesPartsOfAWrongShape) {
  for (const char* json :
       {"[]", "{}", R"({"type":null})", R"({"type":"Sequence"})", R"({"type":"Sequence","pretokenizers":[null,3]})",
        R"({"type":"Split","behavior":"Isolated","invert":false})",
        R"({"type":"Split","pattern":{"String":"a"},"behavior":"isolated","invert":false})",
        R"({"type":"Split","pattern":{"Regex":"["},"behavior":"Isolated","invert":false})",
        R"({"type":"Split","pattern":{"String":"a"},"behavior":"Isolated"})", R"({"type":"ByteLevel"})",
        R"({"type":"Digits"})", R"({"type":"Metaspace","replacement":"ab"})",
        R"({"type":"Metaspace","replacement":""})", R"({"type":"Metaspace","replacement":"_","prepend_scheme":"last"})",
        R"({"type":"Metaspace","replacement":"_","prepend_scheme":"first","add_prefix_space":false})"}) {
    EXPECT_THROW(parse(json), DataError) << json;
  }
}

}  // namespace
}  // namespace speculators
