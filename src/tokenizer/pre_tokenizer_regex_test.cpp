#include "tokenizer/pre_tokenizer_regex.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  std::vector<std::string> found;
  Regex(pattern, "here").for_each_match(text, [&](size_t begin, size_t end) {
    found.emplace_back(text.substr(begin, end - begin));
  });
  return found;
}

TEST(Regex, FindsMatchesFromLeftToRight) { EXPECT_THAT(matches("[0-9]+", "a12b3"), ElementsAre("12", "3")); }

TEST(Regex, SkipsAnEmptyMatchThatTouchesTheMatchBeforeIt) {
  EXPECT_THAT(matches("a*", "baac"), ElementsAre("", "aa", ""));
  EXPECT_THAT(matches("", "\u00e9b"), ElementsAre("", "", ""));
}

TEST(Regex, LiteralsMatchThemselves) {
  std::string out;
  Regex::from_literal("a.(\u2581", "here").replace("xa.(\u2581ab(\u2581", "-", out);
  EXPECT_EQ(out, "x-ab(\u2581");
}

// U+180E is no white space in Oniguruma; U+0085 is.
TEST(Regex, WhiteSpaceIsOniguruma) {
  EXPECT_THAT(matches("\\s+", "a\u180eb\u0085c"), ElementsAre("\u0085"));
  EXPECT_THAT(matches("\\S+", "\u180e b"), ElementsAre("\u180e", "b"));
  EXPECT_THAT(matches("[\\S]+", "\u180e b"), ElementsAre("\u180e", "b"));
  EXPECT_THAT(matches("[^\\s]+", "\u180e b"), ElementsAre("\u180e", "b"));
}

TEST(Regex, CategoriesHaveTheirNewMembers) {
  EXPECT_THAT(matches("\\p{L}+", "a\U00010d50\U000323afb"), ElementsAre("a\U00010d50\U000323afb"));
  EXPECT_THAT(matches("[^\\p{L}]+", "a\U00010d50."), ElementsAre("."));
  EXPECT_THAT(matches("\\P{L}+", "a\U00010d50."), ElementsAre("."));
  EXPECT_THAT(matches("\\p{^L}+", "a\U00010d50."), ElementsAre("."));
}

TEST(Regex, WordAndHexClassesAreRubys) {
  EXPECT_THAT(matches("\\w+", "a\u0301_\u00b2\u24d0 -"), ElementsAre("a\u0301_\u00b2\u24d0"));
  EXPECT_THAT(matches("\\h+", "xfFg"), ElementsAre("fF"));
  EXPECT_THAT(matches("\\d+", "12\u0663\u00b2"), ElementsAre("12\u0663"));
}

// {1,3}+ repeats the interval, {,2} means {0,2}.
TEST(Regex, IntervalsAreRubys) {
  EXPECT_THAT(matches("\\d{1,3}+", "12345"), ElementsAre("12345"));
  EXPECT_THAT(matches("(?:ab){1,2}+c", "abababc"), ElementsAre("abababc"));
  EXPECT_THAT(matches("a{,2}b", "aaab"), ElementsAre("aab"));
  EXPECT_THAT(matches("a{x", "a{x"), ElementsAre("a{x"));
}

TEST(Regex, FlagsAndAnchorsAreRubys) {
  EXPECT_THAT(matches("a.b", "a\nb"), IsEmpty());
  EXPECT_THAT(matches("(?m)a.b", "a\nb"), ElementsAre("a\nb"));
  EXPECT_THAT(matches("(?m:a.)b", "a\nb"), ElementsAre("a\nb"));
  EXPECT_THAT(matches("^b$", "a\nb\nc"), ElementsAre("b"));
  EXPECT_THAT(matches("(?i:'s)", "'S '\u017f"), ElementsAre("'S", "'\u017f"));
  EXPECT_THAT(matches("\\u0041", "A"), ElementsAre("A"));
}

TEST(Regex, NamesThePlaceAndTheCauseOfABadPattern) {
  try {
    matches("a(b", "");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("here: expected a regular expression, found \"a(b\": missing closing parenthesis"));
  }
}

TEST(Regex, RefusesWhatPcre2CannotSay) {
  EXPECT_THROW(matches("[a[bc]]", ""), DataError);
  EXPECT_THROW(matches("[a-z&&[^b]]", ""), DataError);
  EXPECT_THROW(matches("[[:alpha:]]", ""), DataError);
  EXPECT_THROW(matches("[\\W]", ""), DataError);
  EXPECT_THROW(matches("\\u12", ""), DataError);
  EXPECT_THROW(matches("\\p{L", ""), DataError);
  EXPECT_THROW(matches("[a", ""), DataError);
  EXPECT_THROW(matches("\\", ""), DataError);
}

TEST(Regex, GivesUpOnAPatternThatNeverEnds) {
  EXPECT_THROW(matches("(a|aa)+$b|(?:a+)+c", std::string(200, 'a')), DataError);
}

}  // namespace
}  // namespace speculators
