#include "tokenizer/decoder.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::ElementsAre;

Decoder parse(std::string_view json) { return Decoder::parse(Json::parse(json), "t.json: decoder"); }

// What each token lets out, and at the end what finish() lets out.
std::vector<std::string> stream(std::string_view json, const std::vector<std::string>& tokens) {
  const Decoder decoder = parse(json);
  DecoderRun run = decoder.start();
  std::vector<std::string> pieces;
  for (const std::string& token : tokens) run.push(token, pieces.emplace_back());
  run.finish(pieces.emplace_back());
  return pieces;
}

std::string decode(std::string_view json, const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& piece : stream(json, tokens)) text += piece;
  return text;
}

constexpr const char* kByteLevel =
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
constexpr const char* kLlama2 = R"({"type":"Sequence","decoders":[
    {"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
    {"type":"Strip","content":" ","start":1,"stop":0}]})";

TEST(Decoder, JoinsWithSpacesWhenTheFileHasNone) { EXPECT_EQ(decode("null", {"a", "b"}), "a b"); }

TEST(ByteLevelDecoder, HoldsACharacterUntilItIsWhole) {
  // U+1F600 is f0 9f 98 80: "\u00f0", "\u0141" (9f), "\u013a" (98), "\u0122" (80)
  EXPECT_THAT(stream(kByteLevel, {"a\u00f0", "\u0141\u013a", "\u0122b"}), ElementsAre("a", "", "\U0001f600b", ""));
}

TEST(ByteLevelDecoder, ReplacesBytesThatNothingCanComplete) {
  EXPECT_THAT(stream(kByteLevel, {"\u00f0", "a", "\u00ff", "\u00e4"}), ElementsAre("",
                                                                                   "\ufffd"
                                                                                   "a",
                                                                                   "\ufffd", "", "\ufffd"));
}

TEST(ByteLevelDecoder, KeepsTokensOutsideTheAlphabetAsTheyAre) {
  EXPECT_EQ(decode(kByteLevel, {"\u0120a", "b c"}), " ab c");
}

TEST(Llama2Decoder, StripsOneSpaceAtTheBeginningOnly) {
  EXPECT_THAT(stream(kLlama2, {"_a", "_b"}), ElementsAre("a", " b", ""));
  EXPECT_EQ(decode(kLlama2, {"__a"}), " a");
  EXPECT_EQ(decode(kLlama2, {"a", "_"}), "a ");
}

TEST(Llama2Decoder, JoinsByteTokens) {
  EXPECT_THAT(stream(kLlama2, {"<0xC3>", "<0xA9>", "a"}), ElementsAre("", "",
                                                                      "\u00e9"
                                                                      "a",
                                                                      ""));
  EXPECT_EQ(decode(kLlama2, {"<0x20>", "<0x41>"}), "A");
  EXPECT_EQ(decode(kLlama2, {"<0xc3>", "<0xA9>"}), "\u00e9");
  EXPECT_EQ(decode(kLlama2, {"<0xG3>"}), "<0xG3>");
}

// One bad byte spoils its whole group, so a group can only be given away when it ends.
TEST(Llama2Decoder, ReplacesEveryByteOfASpoiledGroup) {
  EXPECT_EQ(decode(kLlama2, {"<0xC3>", "<0xA9>", "<0xFF>", "a"}),
            "\ufffd\ufffd\ufffd"
            "a");
}

TEST(MetaspaceDecoder, DropsTheMarkerOfTheFirstToken) {
  EXPECT_EQ(decode(R"({"type":"Metaspace","replacement":"_","prepend_scheme":"always","split":true})", {"_a_", "_b"}),
            "a b");
  EXPECT_EQ(decode(R"({"type":"Metaspace","replacement":"_","prepend_scheme":"never","split":true})", {"_a"}), " a");
}

TEST(Decoder, WorksOnTheWholeTextBehindAFuse) {
  EXPECT_EQ(decode(R"({"type":"Sequence","decoders":[{"type":"Fuse"},
                       {"type":"Replace","pattern":{"Regex":"a+"},"content":"-"}]})",
                   {"xa", "ay"}),
            "x-y");
  EXPECT_EQ(
      decode(R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":"_","start":1,"stop":2}]})",
             {"__a", "_", "__"}),
      "_a_");
}

TEST(Decoder, StripsEveryTokenWithoutAFuse) {
  EXPECT_EQ(decode(R"({"type":"Strip","content":"_","start":1,"stop":1})", {"_a_", "__", "_", ""}), "a");
}

TEST(Decoder, TellsTheBytesOfATokenWithoutItsNeighbours) {
  EXPECT_EQ(parse(kByteLevel).token_bytes("\u00f0\u0141"), "\xf0\x9f");
  EXPECT_EQ(parse(kLlama2).token_bytes("<0xF0>"), "\xf0");
  EXPECT_EQ(parse(kLlama2).token_bytes("_a"), " a");
  EXPECT_EQ(parse("null").token_bytes("a"), "a");
}

TEST(Decoder, NamesAPartItDoesNotKnow) {
  try {
    parse(R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"CTC"}]})");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("t.json: decoder.decoders[1]: type: expected ByteLevel"));
  }
}

TEST(Decoder, RefusesPartsOfAWrongShape) {
  for (const char* json : {"1", "{}", R"({"type":"Sequence"})", R"({"type":"Sequence","decoders":[[]]})",
                           R"({"type":"Strip","content":"ab","start":1,"stop":0})",
                           R"({"type":"Strip","content":"a","start":-1,"stop":0})", R"({"type":"Strip","content":"a"})",
                           R"({"type":"Replace","content":"a"})", R"({"type":"Metaspace"})"}) {
    EXPECT_THROW(parse(json), DataError) << json;
  }
}

}  // namespace
}  // namespace speculators
