// Damage: every wrong tokenizer.json is refused with a DataError that names the place.
#include "tokenizer/tokenizer_json.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/errors.h"
#include "base/files.h"
#include "tokenizer/tokenizer.h"

namespace speculators {
namespace {

using testing::HasSubstr;

Json small_file() {
  return Json::parse(R"({"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null,
      "decoder":null,"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"",
      "end_of_word_suffix":"","fuse_unk":false,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})");
}

std::string message_of(const std::string& text) {
  try {
    (void)Tokenizer::parse(text, "t.json");
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}
std::string message(const Json& file) { return message_of(file.dump()); }

TEST(TokenizerJson, ReadsBothFormsOfMerges) {
  for (const char* merges : {R"(["a b"])", R"([["a","b"]])", R"(["#version: 0.2","a b"])"}) {
    Json file = small_file();
    file["model"]["merges"] = Json::parse(merges);
    const TokenizerJson read = parse_tokenizer_json(file.dump(), "t.json");
    EXPECT_EQ(read.merges.find(0, 1).id, 2) << merges;
    EXPECT_EQ(read.merges.find(0, 1).rank, 0u) << merges;
  }
}

TEST(TokenizerJson, ReadsTokensWithSpacesAndZeros) {
  Json file = small_file();
  file["model"]["vocab"] = {{"a b", 0}, {std::string("\0", 1), 1}, {std::string("a b\0", 4), 2}};
  file["model"]["merges"] = Json::array({Json::array({"a b", std::string("\0", 1)})});
  EXPECT_EQ(parse_tokenizer_json(file.dump(), "t.json").merges.find(0, 1).id, 2);
}

TEST(TokenizerJson, TellsLineAndColumnOfBrokenJson) {
  EXPECT_THAT(message_of("{\n\"model\": {,}}"), HasSubstr("t.json: line 2, column"));
  EXPECT_THAT(message_of(std::string()), HasSubstr("the text is empty"));
  EXPECT_THAT(message_of("{\"a\":\"\\ud800\"}"), HasSubstr("expected valid JSON"));  // half of a surrogate pair
  EXPECT_THAT(message_of("{\"a\":\"\xff\"}"), HasSubstr("expected valid JSON"));
  EXPECT_THAT(message_of(std::string(3000, '[')), HasSubstr("expected valid JSON"));
}

TEST(TokenizerJson, RefusesEveryTruncation) {
  const std::string text = small_file().dump();
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_THROW((void)Tokenizer::parse(text.substr(0, size), "t.json"), DataError) << size;
  }
}

TEST(TokenizerJson, NeverCrashesOnAChangedByte) {
  const std::string text = small_file().dump();
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char byte : {'"', '{', '9', '-', ',', '\0', '\xc3'}) {
      std::string changed = text;
      changed[at] = byte;
      try {
        (void)Tokenizer::parse(changed, "t.json").encode("abcab a");
      } catch (const DataError&) {
      }
    }
  }
}

TEST(TokenizerJson, NamesWhatIsMissingOrOfAWrongType) {
  EXPECT_THAT(message_of("[]"), HasSubstr("t.json: expected an object, found []"));
  EXPECT_THAT(message_of("{}"), HasSubstr("t.json: model: expected an object"));
  const auto with_model = [](const char* key, const Json& value) {
    Json file = small_file();
    file["model"][key] = value;
    return message(file);
  };
  EXPECT_THAT(with_model("vocab", 3), HasSubstr("t.json: model.vocab: expected an object of tokens and ids, found 3"));
  EXPECT_THAT(with_model("merges", nullptr), HasSubstr("model.merges: expected a list of token pairs, found null"));
  EXPECT_THAT(with_model("fuse_unk", "yes"), HasSubstr("model.fuse_unk: expected true or false, found \"yes\""));
  EXPECT_THAT(with_model("unk_token", 5), HasSubstr("model.unk_token: expected a string, found 5"));
  Json file = small_file();
  file["model"].erase("vocab");
  EXPECT_THAT(message(file), HasSubstr("model.vocab: expected an object of tokens and ids, found nothing"));
}

TEST(TokenizerJson, NamesModelsAndOptionsThatItDoesNotSupport) {
  const auto with_model = [](const char* key, const Json& value) {
    Json file = small_file();
    file["model"][key] = value;
    return message(file);
  };
  EXPECT_THAT(with_model("type", "Unigram"), HasSubstr("model.type: expected BPE, found \"Unigram\""));
  EXPECT_THAT(with_model("dropout", 0.1), HasSubstr("model.dropout: expected none"));
  EXPECT_THAT(with_model("end_of_word_suffix", "</w>"), HasSubstr("model.end_of_word_suffix: expected none"));
  EXPECT_THAT(with_model("continuing_subword_prefix", "##"),
              HasSubstr("model.continuing_subword_prefix: expected none"));
}

TEST(TokenizerJson, NamesIdsThatAreOutOfRangeOrTaken) {
  const auto with_id = [](const Json& id) {
    Json file = small_file();
    file["model"]["vocab"]["ab"] = id;
    return message(file);
  };
  for (const Json& id : {Json(-1), Json(1 << 24), Json(1e30), Json(1.5), Json("2"), Json(UINT64_MAX), Json()}) {
    EXPECT_THAT(with_id(id), HasSubstr("model.vocab[\"ab\"]: expected an id of 0 to 16777215, found")) << id;
  }
  EXPECT_THAT(with_id(1), HasSubstr("model.vocab[\"ab\"]: expected an id of its own, found 1, which \"b\" has too"));
  EXPECT_THAT(message_of(R"({"model":{"vocab":{"a":0,"a":1},"merges":[]}})"),
              HasSubstr("model.vocab[\"a\"]: expected every token once"));
}

TEST(TokenizerJson, NamesMergesThatDoNotWork) {
  const auto with_merge = [](const Json& merge) {
    Json file = small_file();
    file["model"]["merges"].push_back(merge);
    return message(file);
  };
  EXPECT_THAT(with_merge("a x"),
              HasSubstr("model.merges[1]: expected two tokens of the vocabulary that make a third, found "
                        "\"a x\": \"x\" is not in the vocabulary"));
  EXPECT_THAT(with_merge("b a"), HasSubstr("\"ba\" is not in the vocabulary"));
  for (const Json& merge : {Json("ab"), Json("a b c"), Json(""), Json(7), Json::array({"a"}), Json::array({"a", 1})}) {
    EXPECT_THAT(with_merge(merge), HasSubstr("model.merges[1]: expected two tokens, found")) << merge;
  }
}

// The copy of Llama 2's file among the shared assets has lost its no-break spaces; the `tokenizers` package refuses it
// too.
TEST(TokenizerJson, NamesTheDamagedMergeOfTheSharedLlama2File) {
  const char* const shared = std::getenv("SPECULATORS_SHARED");
  const fs::path root = shared ? fs::path(shared) : fs::path(SPECULATORS_SOURCE_DIR) / "../shared";
  const fs::path folder = root / "assets/tok-llama2";
  if (!fs::exists(folder / "tokenizer.json")) GTEST_SKIP() << folder << " is not there";
  EXPECT_THAT(message_of(read_file(folder / "tokenizer.json")), HasSubstr("model.merges[18917]: expected two tokens"));
}

}  // namespace
}  // namespace speculators
