#include "tokenizer/unicode.h"

#include <gmock/gmock.h>

namespace speculators::unicode {
namespace {

std::string lossy(std::string_view bytes) {
  std::string out;
  append_lossy(out, bytes);
  return out;
}

std::string lower(char32_t c) {
  std::string out;
  append_lower(out, c);
  return out;
}

TEST(Utf8, RoundTripsCharactersOfEveryLength) {
  for (const char32_t c : {U'\0', U'A', U'\x7f', U'\x80', U'\x7ff', U'\x800', U'\xffff', U'\x10000', U'\x10ffff'}) {
    std::string text;
    append(text, c);
    const char* p = text.data();
    EXPECT_EQ(decode(p), c);
    EXPECT_EQ(p, text.data() + text.size());
    EXPECT_EQ(length_from_lead(text[0]), text.size());
    EXPECT_EQ(last_before(text.data() + text.size()), c);
  }
}

TEST(Utf8, RefusesOverlongSurrogateAndTooLargeForms) {
  EXPECT_TRUE(is_valid("a\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80 and more than eight bytes"));
  for (const char* bad : {"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "\xff", "\xe4\xbd", "eight by\xe4"}) {
    EXPECT_FALSE(is_valid(bad)) << testing::PrintToString(bad);
  }
}

// The counts are those of Python's bytes.decode("utf-8", "replace").
TEST(Utf8, ReplacesEachMaximalIllFormedPart) {
  EXPECT_EQ(lossy("a\xff z"), "a\xef\xbf\xbd z");
  EXPECT_EQ(lossy("\xe4\xbdz"), "\xef\xbf\xbdz");                            // one truncated character
  EXPECT_EQ(lossy("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate: three
  EXPECT_EQ(lossy("\xf0\x9f\x98\xf0\x9f\x98\x80"), "\xef\xbf\xbd\xf0\x9f\x98\x80");
  EXPECT_EQ(lossy("\xe4\xbd\xa0"), "\xe4\xbd\xa0");
}

TEST(Utf8, FindsTheTailThatMayBeCompleted) {
  EXPECT_EQ(incomplete_tail(""), 0u);
  EXPECT_EQ(incomplete_tail("ab"), 0u);
  EXPECT_EQ(incomplete_tail("a\xe4"), 1u);
  EXPECT_EQ(incomplete_tail("a\xe4\xbd"), 2u);
  EXPECT_EQ(incomplete_tail("a\xf0\x9f\x98"), 3u);
  EXPECT_EQ(incomplete_tail("a\xe4\xbd\xa0"), 0u);
  EXPECT_EQ(incomplete_tail("\xed\xa0"), 0u);  // nothing can make a surrogate valid
  EXPECT_EQ(incomplete_tail("\xe4\xff"), 0u);
  EXPECT_EQ(incomplete_tail("\x80\x80\x80\x80"), 0u);
}

TEST(CharacterFlags, FollowTheGeneralCategories) {
  EXPECT_EQ(flags('A') & (kLetter | kUpper | kLower), kLetter | kUpper);
  EXPECT_EQ(flags(U'\u0101') & (kLetter | kUpper | kLower), kLetter | kLower);  // odd in an alternating run
  EXPECT_EQ(flags(U'\u0100') & (kLetter | kUpper | kLower), kLetter | kUpper);
  EXPECT_EQ(flags(U'\u4e2d') & (kLetter | kUpper | kLower), kLetter);
  EXPECT_TRUE(flags(U'\u00bd') & kNumber);
  EXPECT_TRUE(flags(U'\u0301') & kMark);
  EXPECT_TRUE(flags('_') & kWord);
  EXPECT_TRUE(flags('!') & kPunctuation);
  EXPECT_TRUE(flags(U'\U00010d50') & kNew);
  EXPECT_EQ(category(U'\u0100'), Category::kLu);
  EXPECT_EQ(category(U'\u0378'), Category::kCn);
}

TEST(CharacterFlags, KnowTheTwentyFiveWhiteSpaceCharacters) {
  std::vector<uint32_t> found;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (flags(c) & kSpace) found.push_back(c);
  }
  EXPECT_THAT(found, testing::ElementsAre(0x9, 0xa, 0xb, 0xc, 0xd, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2001, 0x2002,
                                          0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a, 0x2028,
                                          0x2029, 0x202f, 0x205f, 0x3000));
}

TEST(LowerCase, MapsLettersOfOldAndNewScripts) {
  EXPECT_EQ(lower('Q'), "q");
  EXPECT_EQ(lower('q'), "q");
  EXPECT_EQ(lower(U'\u00c9'), "\u00e9");
  EXPECT_EQ(lower(U'\u0130'), "i\u0307");
  EXPECT_EQ(lower(U'\U00010d50'), "\U00010d70");  // Garay, Unicode 16
}

}  // namespace
}  // namespace speculators::unicode
