// UTF-8 and what the `tokenizers` package believes about every code point (its libraries follow Unicode 9 to 17, each
// part its own version; unicode_tables.cpp records the answers). Pure functions, safe on many threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace speculators::unicode {

// clang-format off
// General categories, in the order of the generated table.
enum class Category : uint8_t {
  kLu, kLl, kLt, kLm, kLo, kMn, kMc, kMe, kNd, kNl, kNo, kPc, kPd, kPs, kPe, kPi, kPf, kPo,
  kSm, kSc, kSk, kSo, kZs, kZl, kZp, kCc, kCf, kCo, kCn
};

enum Flag : uint16_t {
  kLetter = 1 << 0,       // \p{L}
  kNumber = 1 << 1,       // \p{N}
  kSpace = 1 << 2,        // \s, White_Space
  kUpper = 1 << 3,        // \p{Lu}, \p{Lt}
  kLower = 1 << 4,        // \p{Ll}
  kMark = 1 << 5,         // \p{M}
  kWord = 1 << 6,         // \w of Rust's regex crate
  kNumeric = 1 << 7,      // char::is_numeric of Rust
  kPunctuation = 1 << 8,  // what the Punctuation pre-tokenizer isolates
  kNfcInert = 1 << 9,     // a text made of these is its own NFC form
  kOpaque = 1 << 10,      // unknown to the package's normalisers: copied, and nothing composes or reorders across it
  kNew = 1 << 11,         // assigned after Unicode 14
};
// clang-format on

// One entry per code point, built on first use.
const uint16_t* flags_table();
inline uint16_t flags(char32_t c) { return flags_table()[c]; }

// By binary search over the recorded runs: for loading, not for scanning text.
Category category(char32_t c);
// "L", "Lu", ...: whether `category` belongs to it. Unknown names match nothing.
bool is_in(Category category, std::string_view name);
bool is_category_name(std::string_view name);

// Reads the character at `p` of valid UTF-8 and moves `p` behind it.
inline char32_t decode(const char*& p) {
  const auto byte = [&](int i) { return static_cast<uint8_t>(p[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    p += 1;
    return lead;
  }
  if (lead < 0xe0) {
    const char32_t c = (lead & 0x1fu) << 6 | (byte(1) & 0x3fu);
    p += 2;
    return c;
  }
  if (lead < 0xf0) {
    const char32_t c = (lead & 0x0fu) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
    p += 3;
    return c;
  }
  const char32_t c = (lead & 0x07u) << 18 | (byte(1) & 0x3fu) << 12 | (byte(2) & 0x3fu) << 6 | (byte(3) & 0x3fu);
  p += 4;
  return c;
}

// Bytes of the character whose first byte is `lead` (valid UTF-8).
inline size_t length_from_lead(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// The character that ends just before `p`; `begin` < `p`.
inline char32_t last_before(const char* p) {
  do --p;
  while ((static_cast<uint8_t>(*p) & 0xc0) == 0x80);
  return decode(p);
}

void append(std::string& out, char32_t c);

// The number of characters in valid UTF-8.
size_t count(std::string_view text);

bool is_valid(std::string_view bytes);

// Appends `bytes` with every maximal ill-formed part as one U+FFFD (what Rust and Python call lossy / replace).
void append_lossy(std::string& out, std::string_view bytes);

// The length of the tail of `bytes` that begins a character which further bytes may complete; 0 to 3.
size_t incomplete_tail(std::string_view bytes);

// Appends the lower-case form of `c`.
void append_lower(std::string& out, char32_t c);

}  // namespace speculators::unicode
