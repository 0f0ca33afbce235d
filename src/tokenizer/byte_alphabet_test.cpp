#include "tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

#include <set>

namespace speculators {
namespace {

TEST(ByteAlphabet, GivesEveryByteItsOwnCharacter) {
  std::set<char32_t> seen;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = byte_to_alphabet(static_cast<uint8_t>(byte));
    EXPECT_EQ(alphabet_to_byte(c), byte);
    seen.insert(c);
  }
  EXPECT_EQ(seen.size(), 256u);
}

TEST(ByteAlphabet, SpellsTextAsGpt2Does) {
  std::string spelled;
  append_byte_alphabet(spelled, " a\n\xc3\xa9");
  EXPECT_EQ(spelled, "\u0120a\u010a\u00c3\u00a9");
  std::string bytes;
  EXPECT_TRUE(append_alphabet_bytes(bytes, spelled));
  EXPECT_EQ(bytes, " a\n\xc3\xa9");
}

TEST(ByteAlphabet, LeavesTheOutputAloneForAForeignCharacter) {
  std::string bytes = "x";
  EXPECT_FALSE(append_alphabet_bytes(bytes, "ab c"));  // a space is not in the alphabet
  EXPECT_EQ(bytes, "x");
}

}  // namespace
}  // namespace speculators
