#include "tokenizer/pre_tokenizer_scanners.h"

#include "tokenizer/unicode.h"

namespace speculators {

const std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

using unicode::kLetter;
using unicode::kLower;
using unicode::kMark;
using unicode::kNumber;
using unicode::kSpace;
using unicode::kUpper;

// A position in the text with what every rule needs: the flags of a character and runs of a class.
class Cursor {
 public:
  Cursor(std::string_view text, Piece range)
      : flags_(unicode::flags_table()), begin_(text.data()), end_(text.data() + range.end) {}

  const char* end() const { return end_; }
  size_t offset(const char* p) const { return static_cast<size_t>(p - begin_); }

  // The flags of the character at `p`, and moves behind it.
  uint16_t take(const char*& p) const {
    const auto byte = static_cast<uint8_t>(*p);
    if (byte < 0x80) {
      ++p;
      return flags_[byte];
    }
    return flags_[unicode::decode(p)];
  }
  uint16_t peek(const char* p) const { return p < end_ ? take(p) : uint16_t{0}; }

  // Skips characters that have one of `wanted` / none of `unwanted`.
  const char* skip(const char* p, uint16_t wanted) const {
    while (p < end_) {
      const char* q = p;
      if (!(take(q) & wanted)) break;
      p = q;
    }
    return p;
  }
  const char* skip_others(const char* p, uint16_t unwanted) const {
    while (p < end_) {
      const char* q = p;
      if (take(q) & unwanted) break;
      p = q;
    }
    return p;
  }

  // 's 't 're 've 'm 'll 'd at `p`: its end, or null. Ignoring case, U+017F is an s too.
  const char* contraction(const char* p, bool ignore_case) const {
    if (end_ - p < 2 || *p != '\'') return nullptr;
    const auto lower = [&](char c) { return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    const char first = lower(p[1]);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return p + 2;
    if (ignore_case && end_ - p >= 3 && p[1] == '\xc5' && p[2] == '\xbf') return p + 3;
    if (end_ - p < 3) return nullptr;
    const char second = lower(p[2]);
    const bool is_pair =
        (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
    return is_pair ? p + 3 : nullptr;
  }

  // \s+(?!\S)|\s+ : a run of white space leaves its last character to the word that follows, if it has another.
  const char* space_run(const char* p) const {
    const char* const run_end = skip(p, kSpace);
    if (run_end == end_) return run_end;
    const char* last = run_end;
    do --last;
    while ((static_cast<uint8_t>(*last) & 0xc0) == 0x80);
    return last > p ? last : run_end;
  }

 private:
  const uint16_t* flags_;
  const char* begin_;
  const char* end_;
};

struct Gpt2Rules {
  static const char* next(const Cursor& text, const char* p) {
    if (const char* end = text.contraction(p, /*ignore_case=*/false)) return end;
    const char* word = *p == ' ' ? p + 1 : p;
    if (word < text.end()) {
      const uint16_t flags = text.take(word);
      if (flags & kLetter) return text.skip(word, kLetter);
      if (flags & kNumber) return text.skip(word, kNumber);
      if (!(flags & kSpace)) return text.skip_others(word, kSpace | kLetter | kNumber);
    }
    return text.space_run(p);
  }
};

bool is_newline(char c) { return c == '\r' || c == '\n'; }

const char* skip_newlines(const Cursor& text, const char* p, bool and_slashes) {
  while (p < text.end() && (is_newline(*p) || (and_slashes && *p == '/'))) ++p;
  return p;
}

// \p{N}{1,max_digits}; the first number is at `p`.
const char* take_digits(const Cursor& text, const char* p, int max_digits) {
  for (int i = 0; i < max_digits && (text.peek(p) & kNumber); ++i) text.take(p);
  return p;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ : a run of white space up to its last newline, if it has one.
const char* newline_or_space_run(const Cursor& text, const char* p) {
  const char* const run_end = text.skip(p, kSpace);
  for (const char* q = run_end; q > p; --q) {
    if (is_newline(q[-1])) return q;
  }
  return text.space_run(p);
}

// " ?[^\s\p{L}\p{N}]+[\r\n]*" and the white space rules, where no letter or number matched. `words` are the classes
// that the symbol run excludes.
const char* symbols_or_space(const Cursor& text, const char* p, uint16_t words, bool and_slashes) {
  const char* symbol = *p == ' ' ? p + 1 : p;
  if (symbol < text.end() && !(text.peek(symbol) & (kSpace | words))) {
    return skip_newlines(text, text.skip_others(symbol, kSpace | words), and_slashes);
  }
  return newline_or_space_run(text, p);
}

// Llama 3 and Qwen: contractions in any case, letters with one leading symbol or space, numbers of 1 to 3 digits.
template <int kMaxDigits, uint16_t kWordLetters>
struct Llama3Rules {
  static const char* next(const Cursor& text, const char* p) {
    const char* after = p;
    const uint16_t flags = text.take(after);
    if (flags & kWordLetters) return text.skip(after, kWordLetters);
    if (const char* end = text.contraction(p, /*ignore_case=*/true)) return end;
    if (flags & kNumber) return take_digits(text, p, kMaxDigits);
    if (!is_newline(*p) && (text.peek(after) & kWordLetters)) return text.skip(after, kWordLetters);
    return symbols_or_space(text, p, kWordLetters | kNumber, /*and_slashes=*/false);
  }
};

// o200k (gpt-oss, Phi-4-mini): words also end where lower case turns into upper case, and take their contraction along.
struct O200kRules {
  // Lm and Lo are letters without case: they belong to both sides, as marks do.
  static bool is_upper_side(uint16_t flags) { return (flags & (kLetter | kMark)) && !(flags & kLower); }
  static bool is_lower_side(uint16_t flags) { return (flags & (kLetter | kMark)) && !(flags & kUpper); }

  static const char* next(const Cursor& text, const char* p) {
    const char* after = p;
    const uint16_t flags = text.take(after);
    const bool may_lead = !(flags & (kLetter | kNumber)) && !is_newline(*p);
    if (may_lead) {
      if (const char* end = mixed_word(text, after)) return with_contraction(text, end);
    }
    if (flags & (kLetter | kMark)) {
      if (const char* end = mixed_word(text, p)) return with_contraction(text, end);
    }
    if (may_lead) {
      if (const char* end = upper_word(text, after)) return with_contraction(text, end);
    }
    if (flags & (kLetter | kMark)) {
      if (const char* end = upper_word(text, p)) return with_contraction(text, end);
    }
    if (flags & kNumber) return take_digits(text, p, 3);
    return symbols_or_space(text, p, kLetter | kNumber, /*and_slashes=*/true);
  }

  static const char* with_contraction(const Cursor& text, const char* p) {
    const char* end = text.contraction(p, /*ignore_case=*/true);
    return end ? end : p;
  }

  // [upper]*[lower]+ : when no lower-case letter follows the upper run, its last caseless character has to serve.
  static const char* mixed_word(const Cursor& text, const char* p) {
    const char* caseless_end = nullptr;
    while (p < text.end()) {
      const char* q = p;
      const uint16_t flags = text.take(q);
      if (!is_upper_side(flags)) break;
      p = q;
      if (is_lower_side(flags)) caseless_end = p;
    }
    const char* end = p;
    while (is_lower_side(text.peek(end))) text.take(end);
    return end > p ? end : caseless_end;
  }

  // [upper]+ ; what may follow in lower case would have made a mixed word.
  static const char* upper_word(const Cursor& text, const char* p) {
    const char* end = p;
    while (is_upper_side(text.peek(end))) text.take(end);
    return end > p ? end : nullptr;
  }
};

template <class Rules>
void scan(std::string_view text, Piece range, std::vector<Piece>& pieces) {
  const Cursor cursor(text, range);
  const char* p = text.data() + range.begin;
  while (p < cursor.end()) {
    const char* const end = Rules::next(cursor, p);
    pieces.push_back({cursor.offset(p), cursor.offset(end)});
    p = end;
  }
}

}  // namespace

void scan_gpt2(std::string_view text, Piece range, std::vector<Piece>& pieces) { scan<Gpt2Rules>(text, range, pieces); }

const std::vector<ScannerPattern>& scanner_patterns() {
  static const std::vector<ScannerPattern> patterns = {
      {"gpt2", kGpt2Pattern, scan_gpt2},
      {"llama3",
       R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
       R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       scan<Llama3Rules<3, kLetter>>},
      {"qwen2",
       R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
       R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       scan<Llama3Rules<1, kLetter>>},
      {"qwen3.5",
       R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
       R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       scan<Llama3Rules<1, kLetter | kMark>>},
      {"o200k",
       R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
       R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
       R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       scan<O200kRules>},
  };
  return patterns;
}

Scanner find_scanner(std::string_view pattern) {
  for (const ScannerPattern& known : scanner_patterns()) {
    if (known.pattern == pattern) return known.scan;
  }
  return nullptr;
}

}  // namespace speculators
