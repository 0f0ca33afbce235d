#include "tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "tokenizer/unicode_tables.h"

namespace speculators::unicode {
namespace {

constexpr char32_t kNumCodePoints = 0x110000;
constexpr uint32_t kUpperAtEven = 30;  // pseudo-categories of the generated table
constexpr uint32_t kUpperAtOdd = 31;
constexpr const char* kNames[] = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl",
                                  "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
                                  "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cn"};

char32_t run_start(size_t run) { return run < kNumRuns ? kRuns[run] >> 11 : kNumCodePoints; }

Category category_in_run(uint32_t code, char32_t c) {
  if (code == kUpperAtEven) return c % 2 == 0 ? Category::kLu : Category::kLl;
  if (code == kUpperAtOdd) return c % 2 == 1 ? Category::kLu : Category::kLl;
  return static_cast<Category>(code);
}

uint16_t flags_of(Category category, uint32_t recorded) {
  static_assert(kWord == 1 << 6 && kNew == 1 << 11, "the recorded flags are the upper ones, shifted by one");
  const char* name = kNames[static_cast<size_t>(category)];
  uint16_t flags = static_cast<uint16_t>((recorded >> 5 & 0x3f) << 6);
  if (name[0] == 'L') flags |= kLetter;
  if (name[0] == 'N') flags |= kNumber;
  if (name[0] == 'M') flags |= kMark;
  if (name[0] == 'Z') flags |= kSpace;
  if (category == Category::kLu || category == Category::kLt) flags |= kUpper;
  if (category == Category::kLl) flags |= kLower;
  return flags;
}

std::unique_ptr<uint16_t[]> make_flags_table() {
  std::unique_ptr<uint16_t[]> table(new uint16_t[kNumCodePoints]);
  for (size_t run = 0; run < kNumRuns; ++run) {
    const uint32_t recorded = kRuns[run] & 0x7ff;
    for (char32_t c = run_start(run); c < run_start(run + 1); ++c) {
      table[c] = flags_of(category_in_run(recorded & 31, c), recorded);
    }
  }
  for (char32_t c : {0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x85}) table[c] |= kSpace;  // the White_Space of category Cc
  return table;
}

// How many bytes at `at` form one valid character (`valid`), or else the length of the maximal ill-formed part.
struct Step {
  size_t length;
  bool valid;
  bool truncated;  // ill-formed only because the text ends
};

Step step(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(at);
  if (lead < 0x80) return {1, true, false};
  if (lead < 0xc2 || lead > 0xf4) return {1, false, false};
  const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF.
  const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (size_t i = 1; i < length; ++i) {
    if (at + i == bytes.size()) return {i, false, true};
    const uint8_t next = byte(at + i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xbf)) return {i, false, false};
  }
  return {length, true, false};
}

}  // namespace

const uint16_t* flags_table() {
  static const std::unique_ptr<uint16_t[]> table = make_flags_table();
  return table.get();
}

Category category(char32_t c) {
  const uint32_t* after = std::upper_bound(kRuns, kRuns + kNumRuns, c << 11 | 0x7ff);
  return category_in_run(*(after - 1) & 31, c);
}

bool is_in(Category category, std::string_view name) {
  const std::string_view full = kNames[static_cast<size_t>(category)];
  return name.size() <= 2 && !name.empty() && full.substr(0, name.size()) == name;
}

bool is_category_name(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (is_in(static_cast<Category>(i), name)) return true;
  }
  return false;
}

void append(std::string& out, char32_t c) {
  const auto push = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xc0 | c >> 6);
    push(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    push(0xe0 | c >> 12);
    push(0x80 | (c >> 6 & 0x3f));
    push(0x80 | (c & 0x3f));
  } else {
    push(0xf0 | c >> 18);
    push(0x80 | (c >> 12 & 0x3f));
    push(0x80 | (c >> 6 & 0x3f));
    push(0x80 | (c & 0x3f));
  }
}

size_t count(std::string_view text) {
  size_t characters = 0;
  for (const char byte : text) characters += (static_cast<uint8_t>(byte) & 0xc0) != 0x80;
  return characters;
}

bool is_valid(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t eight;
    if (at + 8 <= bytes.size()) {
      std::memcpy(&eight, bytes.data() + at, 8);
      if ((eight & 0x8080808080808080u) == 0) {
        at += 8;
        continue;
      }
    }
    const Step found = step(bytes, at);
    if (!found.valid) return false;
    at += found.length;
  }
  return true;
}

void append_lossy(std::string& out, std::string_view bytes) {
  size_t copied = 0;
  for (size_t at = 0; at < bytes.size();) {
    const Step found = step(bytes, at);
    if (!found.valid) {
      out.append(bytes, copied, at - copied);
      append(out, 0xfffd);
      copied = at + found.length;
    }
    at += found.length;
  }
  out.append(bytes, copied);
}

size_t incomplete_tail(std::string_view bytes) {
  for (size_t length = 1; length <= 3 && length <= bytes.size(); ++length) {
    const auto byte = static_cast<uint8_t>(bytes[bytes.size() - length]);
    if ((byte & 0xc0) == 0x80) continue;
    const Step found = step(bytes, bytes.size() - length);
    return found.truncated && found.length == length ? length : 0;
  }
  return 0;
}

void append_lower(std::string& out, char32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
    return;
  }
  if (c == 0x130) {  // the only letter whose lower-case form is two characters
    out += "i\xcc\x87";
    return;
  }
  for (size_t i = 0; i < kNumNewLowerCase; ++i) {
    if (kNewLowerCase[2 * i] == c) return append(out, kNewLowerCase[2 * i + 1]);
  }
  append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

}  // namespace speculators::unicode
