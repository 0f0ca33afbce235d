#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/errors.h"
#include "base/json.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

using testing::ElementsAre;

// ---- against the `tokenizers` package; tools/make_tokenizer_goldens.py wrote the file

const Json& goldens() {
  static const Json file =
      read_json(fs::path(SPECULATORS_SOURCE_DIR) / "src/tokenizer/testdata/tokenizer_goldens.json");
  return file;
}

class TokenizerGoldens : public testing::TestWithParam<int> {
 protected:
  const Json& golden() const { return goldens().at(static_cast<size_t>(GetParam())); }
  Tokenizer tokenizer() const {
    return Tokenizer::parse(golden().at("tokenizer").dump(), golden().at("name").get<std::string>());
  }
};

TEST_P(TokenizerGoldens, EncodeAsTheTokenizersPackage) {
  const Tokenizer ours = tokenizer();
  for (const Json& sample : golden().at("encodings")) {
    const auto text = sample.at("text").get<std::string>();
    EXPECT_EQ(Json(ours.encode(text)), sample.at("ids")) << golden().at("name") << " " << testing::PrintToString(text);
    EXPECT_EQ(Json(ours.encode(text, true)), sample.at("ids_with_specials")) << golden().at("name");
  }
}

TEST_P(TokenizerGoldens, DecodeAsTheTokenizersPackage) {
  const Tokenizer ours = tokenizer();
  for (const Json& sample : golden().at("decodings")) {
    const auto ids = sample.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(ours.decode(ids), sample.at("text").get<std::string>()) << golden().at("name");
    EXPECT_EQ(ours.decode(ids, true), sample.at("text_without_specials").get<std::string>()) << golden().at("name");
  }
}

TEST_P(TokenizerGoldens, StreamWholeCharactersThatAddUpToTheText) {
  const Tokenizer ours = tokenizer();
  for (const Json& sample : golden().at("decodings")) {
    StreamDecoder stream(ours, /*skip_special_tokens=*/true);
    std::string text;
    for (const int32_t id : sample.at("ids").get<std::vector<int32_t>>()) {
      const std::string piece = stream.push(id);
      EXPECT_TRUE(unicode::is_valid(piece)) << golden().at("name");
      text += piece;
    }
    text += stream.finish();
    EXPECT_EQ(text, sample.at("text_without_specials").get<std::string>()) << golden().at("name");
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerGoldens, testing::Range(0, 14));

TEST(TokenizerGoldens, AreAllRun) { EXPECT_EQ(goldens().size(), 14u); }

// ---- the interface

// Byte-level: 0 "a", 1 "b", 2 "ab", 3 "\u00e4" (byte e4), 4 "\u0142" (byte a0); added: 5 "<s>" special, 6 "<x>".
Tokenizer small_tokenizer() {
  return Tokenizer::parse(
      R"({"added_tokens":[
            {"id":5,"content":"<s>","special":true,
             "single_word":false,"lstrip":false,"rstrip":false,"normalized":false},
            {"id":6,"content":"<x>","special":false,
             "single_word":false,"lstrip":false,"rstrip":false,"normalized":false}],
          "decoder":{"type":"ByteLevel"},
          "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"\u00e4":3,"\u0142":4},"merges":["a b"]}})",
      "t.json");
}

TEST(Tokenizer, RecognisesSpecialTokensInTheText) {
  EXPECT_THAT(small_tokenizer().encode("ab<s>a<x>"), ElementsAre(2, 5, 0, 6));
  EXPECT_TRUE(small_tokenizer().encode("").empty());
}

TEST(Tokenizer, AnswersQuestionsAboutItsVocabulary) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 7);
  EXPECT_EQ(tokenizer.find_id("ab"), 2);
  EXPECT_EQ(tokenizer.find_id("<x>"), 6);
  EXPECT_EQ(tokenizer.find_id("zz"), std::nullopt);
  EXPECT_EQ(tokenizer.token(2), "ab");
  EXPECT_EQ(tokenizer.token(5), "<s>");
  EXPECT_TRUE(tokenizer.is_special(5));
  EXPECT_FALSE(tokenizer.is_special(6));
  EXPECT_FALSE(tokenizer.is_special(0));
  EXPECT_EQ(tokenizer.token_bytes(3), "\xe4");
  EXPECT_EQ(tokenizer.token_bytes(6), "<x>");
}

TEST(Tokenizer, RefusesIdsOutsideTheVocabulary) {
  for (const int32_t id : {-1, 7, INT32_MAX}) {
    EXPECT_THROW(small_tokenizer().token(id), UsageError);
    EXPECT_THROW(small_tokenizer().token_bytes(id), UsageError);
  }
}

TEST(Tokenizer, SkipsUnknownIdsWhenDecodingAsTheOriginalDoes) {
  EXPECT_EQ(small_tokenizer().decode(std::vector<int32_t>{-1, 0, 99, 1}), "ab");
}

TEST(Tokenizer, ReplacesIllFormedUtf8BeforeEncoding) {
  const Tokenizer tokenizer = Tokenizer::parse(R"({"model":{"vocab":{"a":0,"\ufffd":1},"merges":[]}})", "t.json");
  EXPECT_THAT(tokenizer.encode("a\xff"
                               "a"),
              ElementsAre(0, 1, 0));
  EXPECT_THAT(tokenizer.encode("\xed\xa0\x80"), ElementsAre(1, 1, 1));  // a lone surrogate
}

TEST(StreamDecoder, StartsAnewAfterFinish) {
  const Tokenizer tokenizer = small_tokenizer();
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(3), "");  // e4 begins a character
  EXPECT_EQ(stream.finish(), "\ufffd");
  EXPECT_EQ(stream.push(2), "ab");
  EXPECT_EQ(stream.push(5), "");  // special
  EXPECT_EQ(stream.finish(), "");
}

TEST(StreamDecoder, SurvivesMovesOfItselfAndOfTheTokenizer) {
  Tokenizer tokenizer = small_tokenizer();
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(3), "");
  const Tokenizer moved = std::move(tokenizer);
  StreamDecoder moved_stream = std::move(stream);
  EXPECT_EQ(moved_stream.push(0),
            "\ufffd"
            "a");
}

TEST(Tokenizer, EncodesOnManyThreadsAtOnce) {
  const Tokenizer tokenizer = small_tokenizer();
  std::vector<std::vector<int32_t>> results(8);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) result = tokenizer.encode("abab<s>b");
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_THAT(result, ElementsAre(2, 2, 5, 1));
}

// ---- folders

class TokenizerFolder : public testing::Test {
 protected:
  TokenizerFolder()
      : folder_(fs::path(testing::TempDir()) / ("speculators_tokenizer_test_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write_file(folder_ / "tokenizer.json", R"({"model":{"vocab":{"<s>":0,"</s>":1,"a":2},"merges":[]}})");
  }
  ~TokenizerFolder() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(TokenizerFolder, NeedsNoTokenizerConfig) {
  const Tokenizer tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(tokenizer.vocab_size(), 3);
  EXPECT_EQ(tokenizer.eos_id(), std::nullopt);
}

TEST_F(TokenizerFolder, ReadsNamedTokensAsStringsOrObjects) {
  write_file(
      folder_ / "tokenizer_config.json",
      R"({"bos_token":"<s>","eos_token":{"content":"</s>","lstrip":false},"pad_token":null,"mask_token":"<mask>"})");
  const Tokenizer tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_EQ(tokenizer.pad_id(), std::nullopt);
  EXPECT_EQ(tokenizer.unk_id(), std::nullopt);
  EXPECT_EQ(tokenizer.mask_id(), std::nullopt);  // named, but not a token
}

TEST_F(TokenizerFolder, RefusesADamagedTokenizerConfig) {
  for (const char* json : {"{", "[]", R"({"bos_token":7})", R"({"eos_token":{"id":1}})"}) {
    write_file(folder_ / "tokenizer_config.json", json);
    EXPECT_THROW((void)Tokenizer::load(folder_), DataError) << json;
  }
}

TEST_F(TokenizerFolder, NamesAMissingFile) {
  fs::remove(folder_ / "tokenizer.json");
  EXPECT_THROW((void)Tokenizer::load(folder_), DataError);
}

}  // namespace
}  // namespace speculators
