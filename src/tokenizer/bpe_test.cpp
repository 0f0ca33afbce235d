#include "tokenizer/bpe.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

// Tokens get the ids 0, 1, ... ; merges are pairs of tokens, in order of rank.
Bpe make_bpe(const std::vector<std::string>& tokens, const std::vector<std::pair<std::string, std::string>>& merge_list,
             BpeOptions options = {}) {
  Vocabulary vocabulary;
  for (size_t i = 0; i < tokens.size(); ++i) vocabulary.add(tokens[i], static_cast<int32_t>(i));
  MergeTable merges;
  uint32_t rank = 0;
  for (const auto& [left, right] : merge_list) {
    merges.set(vocabulary.find(left), vocabulary.find(right), {rank++, vocabulary.find(left + right)});
  }
  return Bpe(std::move(vocabulary), std::move(merges), std::move(options), "t.json");
}

std::vector<int32_t> encode(const Bpe& bpe, const std::string& word, BpeInput input = BpeInput::kCharacters) {
  Bpe::Scratch scratch;
  std::vector<int32_t> ids;
  bpe.encode_word(word, word.data() + word.size(), input, scratch, ids);
  return ids;
}

TEST(Vocabulary, FindsTokensByStringAndById) {
  Vocabulary vocabulary;
  for (int32_t id = 0; id < 1000; id += 2) vocabulary.add("token" + std::to_string(id), id);
  EXPECT_EQ(vocabulary.size(), 500u);
  EXPECT_EQ(vocabulary.id_end(), 999);
  EXPECT_EQ(vocabulary.find("token500"), 500);
  EXPECT_EQ(vocabulary.find("token501"), Vocabulary::kNoToken);
  EXPECT_EQ(vocabulary.token(998), "token998");
  EXPECT_FALSE(vocabulary.contains(501));
  EXPECT_FALSE(vocabulary.contains(-1));
  EXPECT_FALSE(vocabulary.contains(1000));
  EXPECT_EQ(Vocabulary().find("a"), Vocabulary::kNoToken);
}

TEST(WordCache, KeepsWordsApartThatDifferOnlyInLengthOrZeros) {
  WordCache cache;
  const std::string text(40, '\0');
  const auto one = WordCache::make_key(text.data(), 1, true);
  const auto two = WordCache::make_key(text.data(), 2, true);
  EXPECT_NE(one, two);
  EXPECT_EQ(one, WordCache::make_key(text.data(), 1, false));
  cache.store(one, std::vector<int32_t>{7});
  ASSERT_NE(cache.find(one), nullptr);
  EXPECT_EQ(cache.find(one)->ids[0], 7);
  EXPECT_EQ(cache.find(one)->ids[1], -1);
  EXPECT_EQ(cache.find(two), nullptr);
}

TEST(WordCache, MasksWhatFollowsTheWord) {
  const std::string text = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (size_t size = 1; size <= WordCache::kMaxWordBytes; ++size) {
    EXPECT_EQ(WordCache::make_key(text.data(), size, true), WordCache::make_key(text.data(), size, false)) << size;
  }
}

TEST(Bpe, MergesCharacters) {
  const Bpe bpe = make_bpe({"h", "e", "l", "o", "he", "ll", "hell"}, {{"h", "e"}, {"l", "l"}, {"he", "ll"}});
  EXPECT_THAT(encode(bpe, "hello"), ElementsAre(6, 3));
}

TEST(Bpe, DropsUnknownCharactersWithoutAnUnkToken) {
  const Bpe bpe = make_bpe({"a", "b", "ab"}, {{"a", "b"}});
  EXPECT_THAT(encode(bpe,
                     "a\u4e2d"
                     "b"),
              ElementsAre(2));  // the neighbours meet
  EXPECT_TRUE(encode(bpe, "\u4e2d").empty());
}

TEST(Bpe, WritesOneUnkTokenEachOrOnePerRun) {
  const Bpe each = make_bpe({"<unk>", "a"}, {}, {.unk_token = "<unk>"});
  EXPECT_THAT(encode(each, "xya"), ElementsAre(0, 0, 1));
  const Bpe fused = make_bpe({"<unk>", "a"}, {}, {.unk_token = "<unk>", .fuse_unk = true});
  EXPECT_THAT(encode(fused, "xyaz"), ElementsAre(0, 1, 0));
}

TEST(Bpe, NamesAnUnkTokenThatIsNeededButMissing) {
  const Bpe bpe = make_bpe({"a"}, {}, {.unk_token = "<unk>"});
  EXPECT_THAT(encode(bpe, "a"), ElementsAre(0));
  EXPECT_THROW(encode(bpe, "b"), DataError);
}

TEST(Bpe, FallsBackToBytesWhenAllOfThemAreTokens) {
  const Bpe bpe = make_bpe({"<unk>", "a", "<0xC3>", "<0xA9>"}, {}, {.unk_token = "<unk>", .byte_fallback = true});
  EXPECT_THAT(encode(bpe, "a\u00e9"), ElementsAre(1, 2, 3));
  EXPECT_THAT(encode(bpe, "a\u00e8"), ElementsAre(1, 0));          // <0xA8> is missing
  EXPECT_THAT(encode(bpe, "\u00e8\u00e9"), ElementsAre(2, 3, 0));  // the original writes a pending <unk> late
}

TEST(Bpe, TakesWholeTokensFirstWhenMergesAreIgnored) {
  const std::vector<std::string> tokens = {"a", "b", "c", "bc", "abc"};
  EXPECT_THAT(encode(make_bpe(tokens, {{"b", "c"}}), "abc"), ElementsAre(0, 3));
  EXPECT_THAT(encode(make_bpe(tokens, {{"b", "c"}}, {.ignore_merges = true}), "abc"), ElementsAre(4));
}

// All 256 characters of the byte alphabet and a few merges.
Bpe byte_level_bpe(bool ignore_merges) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.emplace_back();
    unicode::append(tokens.back(), byte_to_alphabet(static_cast<uint8_t>(byte)));
  }
  tokens.insert(tokens.end(), {"\u0120a", "\u00c3\u00a9", "\u0120a\u00c3\u00a9", "ab\u0120"});
  return make_bpe(tokens, {{"\u0120", "a"}, {"\u00c3", "\u00a9"}, {"\u0120a", "\u00c3\u00a9"}},
                  {.ignore_merges = ignore_merges});
}

class ByteWords : public testing::TestWithParam<bool> {};

TEST_P(ByteWords, EncodeAsTheirSpellingDoes) {
  const Bpe bpe = byte_level_bpe(GetParam());
  ASSERT_TRUE(bpe.has_byte_alphabet());
  for (const std::string word : {" a\u00e9", "ab ", "\xff\n", " a a a", ""}) {
    std::string spelled;
    append_byte_alphabet(spelled, word);
    EXPECT_EQ(encode(bpe, word, BpeInput::kBytes), encode(bpe, spelled));
  }
}
INSTANTIATE_TEST_SUITE_P(IgnoreMerges, ByteWords, testing::Bool());

TEST(Bpe, CutsWordsAtMarkersOnlyWhereNoTokenJoins) {
  const std::string m = "\u2581";
  const Bpe bpe = make_bpe({"a", "b", ".", m, m + "a", m + "b", "." + m, "." + m + "b", m + m},
                           {{m, m}, {".", m}, {"." + m, "b"}, {m, "a"}, {m, "b"}});
  Bpe::Scratch scratch;
  for (const std::string& word : {m + "a" + m + "b", m + "a." + m + "b", m + m + m + "a", "a" + m, "x" + m + "a"}) {
    std::vector<int32_t> whole;
    bpe.encode_uncached(word, BpeInput::kCharacters, scratch, whole);
    EXPECT_THAT(encode(bpe, word), ElementsAreArray(whole)) << word;
  }
}

TEST(Bpe, GivesTheSameFromTheCache) {
  const Bpe bpe = make_bpe({"a", "b", "ab", "abab"}, {{"a", "b"}, {"ab", "ab"}});
  Bpe::Scratch scratch;
  const std::string text = "abababa" + std::string(40, 'b');
  for (const size_t size : {3, 7, 40, 3, 7, 40}) {
    std::vector<int32_t> cached, plain;
    bpe.encode_word(std::string_view(text).substr(0, size), text.data() + text.size(), BpeInput::kCharacters, scratch,
                    cached);
    bpe.encode_uncached(std::string_view(text).substr(0, size), BpeInput::kCharacters, scratch, plain);
    EXPECT_EQ(cached, plain) << size;
  }
}

}  // namespace
}  // namespace speculators
