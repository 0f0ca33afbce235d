#include "tokenizer/byte_alphabet.h"

#include <array>

#include "tokenizer/unicode.h"

namespace speculators {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Alphabet {
  std::array<char32_t, 256> characters{};
  std::array<int, 512> bytes{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.bytes.fill(-1);
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
    alphabet.characters[byte] = c;
    alphabet.bytes[c] = byte;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t byte_to_alphabet(uint8_t byte) { return kAlphabet.characters[byte]; }

int alphabet_to_byte(char32_t c) { return c < kAlphabet.bytes.size() ? kAlphabet.bytes[c] : -1; }

void append_byte_alphabet(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) unicode::append(out, byte_to_alphabet(static_cast<uint8_t>(byte)));
}

bool append_alphabet_bytes(std::string& out, std::string_view token) {
  const size_t size_before = out.size();
  const char* const end = token.data() + token.size();
  for (const char* p = token.data(); p < end;) {
    const int byte = alphabet_to_byte(unicode::decode(p));
    if (byte < 0) {
      out.resize(size_before);
      return false;
    }
    out.push_back(static_cast<char>(byte));
  }
  return true;
}

}  // namespace speculators
