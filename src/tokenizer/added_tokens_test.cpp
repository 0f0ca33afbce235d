#include "tokenizer/added_tokens.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Spec {
  std::string content;
  std::string flags;  // of: word, lstrip, rstrip, normalized, special
};

Json to_json(const std::vector<Spec>& specs) {
  Json list = Json::array();
  for (const Spec& spec : specs) {
    const auto has = [&](const char* flag) { return spec.flags.find(flag) != std::string::npos; };
    list.push_back({{"id", 0},
                    {"content", spec.content},
                    {"single_word", has("word")},
                    {"lstrip", has("lstrip")},
                    {"rstrip", has("rstrip")},
                    {"normalized", has("normalized")},
                    {"special", has("special")}});
  }
  return list;
}

AddedTokens make_tokens(const std::vector<Spec>& specs, const Normalizer& normalizer = {}) {
  return AddedTokens::parse(to_json(specs), Vocabulary(), normalizer, "t.json: added_tokens");
}

// "[text]" for tokens, "text" for the rest.
std::vector<std::string> split(const AddedTokens& tokens, std::string_view text, bool normalized = false) {
  std::vector<Section> sections;
  if (normalized) {
    tokens.split_normalized(text, sections);
  } else {
    tokens.split_raw(text, sections);
  }
  std::vector<std::string> result;
  for (const Section& section : sections) {
    const std::string part(text.substr(section.begin, section.end - section.begin));
    result.push_back(section.id >= 0 ? "[" + part + "]" : part);
  }
  return result;
}

TEST(AddedTokens, TakeTheLongestLeftmost) {
  const AddedTokens tokens = make_tokens({{"<a>", ""}, {"<a><b>", ""}, {"<b>", ""}});
  EXPECT_THAT(split(tokens, "x<a><b>y<a><c><b>"), ElementsAre("x", "[<a><b>]", "y", "[<a>]", "<c>", "[<b>]"));
  EXPECT_THAT(split(tokens, "<a"), ElementsAre("<a"));
  EXPECT_TRUE(split(tokens, "").empty());
}

TEST(AddedTokens, StripWhiteSpaceAroundThem) {
  const AddedTokens tokens = make_tokens({{"<l>", "lstrip"}, {"<r>", "rstrip"}});
  EXPECT_THAT(split(tokens, "a \u3000<l> <r> \n b"), ElementsAre("a", "[ \u3000<l>]", " ", "[<r> \n ]", "b"));
  EXPECT_THAT(split(tokens, "<r> <l>"), ElementsAre("[<r> ]", "[<l>]"));  // the space is taken once
}

TEST(AddedTokens, MatchSingleWordsOnly) {
  const AddedTokens tokens = make_tokens({{"the", "word"}});
  EXPECT_THAT(split(tokens, "the other, the_ (the)"), ElementsAre("[the]", " other, the_ (", "[the]", ")"));
  EXPECT_THAT(split(tokens, "\u00e9the the\u0301"), ElementsAre("\u00e9the the\u0301"));
}

TEST(AddedTokens, AreLookedForInTheirNormalForm) {
  const Normalizer lower = Normalizer::parse(Json::parse(R"({"type":"Lowercase"})"), "t.json");
  const AddedTokens tokens = make_tokens({{"YES", "normalized"}, {"NO", ""}}, lower);
  EXPECT_THAT(split(tokens, "YES NO"), ElementsAre("YES ", "[NO]"));
  EXPECT_THAT(split(tokens, "yes no", /*normalized=*/true), ElementsAre("[yes]", " no"));
}

TEST(AddedTokens, KeepTheIdsOfTheVocabularyAndContinueBehindIt) {
  Vocabulary vocabulary;
  for (const auto& [token, id] : {std::pair("a", 0), {"<s>", 1}, {"b", 2}}) vocabulary.add(token, id);
  const AddedTokens tokens = AddedTokens::parse(
      to_json({{"<x>", "special"}, {"<s>", "special"}, {"<y>", ""}, {"<x>", ""}}), vocabulary, {}, "t.json");
  EXPECT_EQ(tokens.find("<s>")->id, 1);
  EXPECT_EQ(tokens.find("<x>")->id, 3);
  EXPECT_EQ(tokens.find("<y>")->id, 4);
  EXPECT_TRUE(tokens.find("<x>")->special);  // once special, always special
  EXPECT_EQ(tokens.find(4)->content, "<y>");
  EXPECT_EQ(tokens.find(2), nullptr);
  EXPECT_EQ(tokens.find("b"), nullptr);
}

TEST(AddedTokens, NameTheEntryThatIsDamaged) {
  Json list = to_json({{"<a>", ""}, {"<b>", ""}});
  const auto message = [&] {
    try {
      AddedTokens::parse(list, Vocabulary(), {}, "t.json: added_tokens");
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  list[1]["id"] = -1;
  EXPECT_THAT(message(), HasSubstr("t.json: added_tokens[1]: id: expected 0 to 16777215, found -1"));
  list[1]["id"] = 1e10;
  EXPECT_THAT(message(), HasSubstr("added_tokens[1]: id: expected an integer"));
  list[1]["id"] = 1;
  list[1].erase("lstrip");
  EXPECT_THAT(message(), HasSubstr("added_tokens[1]: lstrip: expected true or false, found nothing"));
  list = Json::object();
  EXPECT_THAT(message(), HasSubstr("t.json: added_tokens: expected a list"));
}

TEST(AddedTokens, RefuseTwoTokensWithOneNormalForm) {
  const Normalizer lower = Normalizer::parse(Json::parse(R"({"type":"Lowercase"})"), "t.json");
  EXPECT_THROW(make_tokens({{"Yes", "normalized"}, {"YES", "normalized"}}, lower), DataError);
  const Normalizer strip =
      Normalizer::parse(Json::parse(R"({"type":"Strip","strip_left":true,"strip_right":true})"), "t.json");
  EXPECT_THROW(make_tokens({{"  ", "normalized"}}, strip), DataError);
}

}  // namespace
}  // namespace speculators
