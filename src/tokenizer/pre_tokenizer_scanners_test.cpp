// Every scanner gives what its PCRE2 twin gives.
#include "tokenizer/pre_tokenizer_scanners.h"

#include <gmock/gmock.h>

#include <random>

#include "tokenizer/pre_tokenizer_regex.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

std::vector<std::string> scan(const ScannerPattern& known, std::string_view text) {
  std::vector<Piece> pieces;
  known.scan(text, {0, text.size()}, pieces);
  std::vector<std::string> result;
  for (const Piece& piece : pieces) result.emplace_back(text.substr(piece.begin, piece.end - piece.begin));
  return result;
}

std::vector<std::string> match(const Regex& regex, std::string_view text) {
  std::vector<std::string> result;
  regex.for_each_match(text, [&](size_t begin, size_t end) { result.emplace_back(text.substr(begin, end - begin)); });
  return result;
}

// Characters that some rule treats in a way of its own.
std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> parts = {"a",          "b",          "s",
                                                 "S",          "A",          "Z",
                                                 "'s",         "'S",         "'ll",
                                                 "'LL",        "'Re",        "'",
                                                 "'\u017f",    "1",          "23",
                                                 "\u0663",     "\u00bd",     "\u2167",
                                                 " ",          "  ",         "\n",
                                                 "\r\n",       "\t",         "\u00a0",
                                                 "\u3000",     "\u0085",     "\u2028",
                                                 "\u180e",     "/",          "//",
                                                 ".",          "!?",         "_",
                                                 "\u2014",     "\u0301",     "\u0e31",
                                                 "\u01c5",     "\u02b0",     "\u00aa",
                                                 "\u4e2d",     "\u00e9",     "\u00c9",
                                                 "\u0431",     "\u0411",     "\U0001f600",
                                                 "\U00010d50", "\U00010d70", "\U00016ea0",
                                                 "\U000323af", "\u0378",     std::string(1, '\0')};
  std::string text;
  for (int i = std::uniform_int_distribution(0, 14)(random); i >= 0; --i) {
    const bool from_list = std::uniform_int_distribution(0, 9)(random) > 0;
    if (from_list) {
      text += parts[std::uniform_int_distribution<size_t>(0, parts.size() - 1)(random)];
    } else {
      unicode::append(text, std::uniform_int_distribution<char32_t>(0, 0xd7ff)(random));
    }
  }
  return text;
}

class Scanners : public testing::TestWithParam<ScannerPattern> {};

TEST_P(Scanners, AgreeWithTheirPattern) {
  const Regex twin(GetParam().pattern, "test");
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random_text(random);
    ASSERT_EQ(scan(GetParam(), text), match(twin, text)) << "text: " << testing::PrintToString(text);
  }
}

TEST_P(Scanners, StayWithinTheirRange) {
  const std::string_view text = "ab cd's  ef";
  std::vector<Piece> pieces;
  GetParam().scan(text, {1, 8}, pieces);  // "b cd's "
  ASSERT_FALSE(pieces.empty());
  EXPECT_EQ(pieces.front().begin, 1u);
  EXPECT_EQ(pieces.back().end, 8u);
}

TEST_P(Scanners, AreFoundByTheirPattern) { EXPECT_EQ(find_scanner(GetParam().pattern), GetParam().scan); }

INSTANTIATE_TEST_SUITE_P(All, Scanners, testing::ValuesIn(scanner_patterns()), [](const auto& info) {
  std::string name(info.param.name);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(Scanners, LeaveOtherPatternsToPcre2) { EXPECT_EQ(find_scanner("\\p{L}+"), nullptr); }

}  // namespace
}  // namespace speculators
