#include "tokenizer/jinja/text.h"

#include <gmock/gmock.h>

namespace speculators::jinja {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Text, CountsCodePointsNotBytes) { EXPECT_EQ(count_code_points("aß日🎉"), 4u); }

TEST(Text, InvalidBytesDecodeToReplacementCharacters) { EXPECT_EQ(to_code_points("a\xFF\xC3"), U"a\uFFFD\uFFFD"); }

TEST(Text, UpperCaseMayGrow) { EXPECT_EQ(to_upper("straße ﬁn"), "STRASSE FIN"); }

TEST(Text, LowerCaseKnowsTheFinalSigma) { EXPECT_EQ(to_lower("ΟΔΟΣ ΣΑ"), "οδος σα"); }

TEST(Text, TitleCaseStartsAWordAfterAnythingButALetter) { EXPECT_EQ(to_title("it's x2y"), "It'S X2Y"); }

TEST(Text, CapitalizeLowersTheRest) { EXPECT_EQ(capitalize("éCOLE"), "École"); }

TEST(Text, StripsUnicodeSpaces) { EXPECT_EQ(strip_left(strip_right("\u3000 a b\u2003\n")), "a b"); }

TEST(Text, StripsASetOfCharacters) { EXPECT_EQ(strip_left("éaéb", std::string("aé")), "b"); }

TEST(Text, SplitsAtRunsOfSpaces) { EXPECT_THAT(split(" a  b\tc ", std::nullopt, -1), ElementsAre("a", "b", "c")); }

TEST(Text, ALimitedSplitKeepsTheSpacesAtTheEnd) {
  EXPECT_THAT(split(" a b c ", std::nullopt, 1), ElementsAre("a", "b c "));
}

TEST(Text, SplitsFromTheRight) { EXPECT_THAT(split_from_right("a.b.c", ".", 1), ElementsAre("a.b", "c")); }

TEST(Text, SplittingNothingAtSpacesGivesNothing) { EXPECT_THAT(split("", std::nullopt, -1), IsEmpty()); }

TEST(Text, SplittingNothingAtASeparatorGivesOneEmptyPart) { EXPECT_THAT(split("", ",", -1), ElementsAre("")); }

TEST(Text, LinesEndAtEveryKindOfBreak) {
  EXPECT_THAT(split_lines("a\r\nb\rc\x0b"
                          "d\u2028e\n",
                          false),
              ElementsAre("a", "b", "c", "d", "e"));
}

TEST(Text, ReplacingNothingPutsTextBetweenCharacters) { EXPECT_EQ(replace_text("aß", "", "-", -1), "-a-ß-"); }

TEST(Text, ReplaceStopsAtItsLimit) { EXPECT_EQ(replace_text("aaa", "a", "b", 2), "bba"); }

TEST(Text, QuotesPreferSingleAndSwitchForAnApostrophe) {
  EXPECT_EQ(quote_text("x"), "'x'");
  EXPECT_EQ(quote_text("it's"), "\"it's\"");
  EXPECT_EQ(quote_text("it's \"x\""), "'it\\'s \"x\"'");
}

TEST(Text, QuotesEscapeWhatCannotBePrinted) {
  EXPECT_EQ(quote_text("\n\x01\u200b\U0001F600é"), "'\\n\\x01\\u200b\U0001F600é'");
}

TEST(Text, DigitsOfOtherScriptsHaveValues) {
  EXPECT_EQ(decimal_value(U'٣'), 3);
  EXPECT_EQ(decimal_value(U'\U0001D7D9'), 1);  // mathematical double-struck one
  EXPECT_EQ(decimal_value(U'²'), -1);
}

}  // namespace
}  // namespace speculators::jinja
