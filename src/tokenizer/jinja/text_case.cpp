// Upper, lower and title case of whole strings, as Python maps them.
#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "tokenizer/jinja/case_table.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3, kSmallSigma = 0x3C3, kFinalSigma = 0x3C2, kDottedI = 0x130;

bool is_cased(char32_t c) { return is_lower_case(c) || is_upper_case(c) || is_title_case(c); }

// Marks and the like that a word boundary looks through.
bool is_case_ignorable(char32_t c) {
  if (c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xAD || c == 0xB7 || c == 0x2019) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return false;
  }
}

// The sigma at the end of a word has a form of its own.
bool is_final_sigma(const std::u32string& text, size_t at) {
  size_t before = at;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  size_t after = at + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

void append_long(std::u32string& out, const LongCase& row) {
  for (const char32_t c : row.mapped) {
    if (c != 0) out += c;
  }
}

void append_upper(std::u32string& out, char32_t c) {
  if (const LongCase* row = find_long_upper(c)) return append_long(out, *row);
  out += static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}

void append_title(std::u32string& out, char32_t c) {
  if (const LongCase* row = find_long_title(c)) return append_long(out, *row);
  out += static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
}

void append_lower(std::u32string& out, const std::u32string& text, size_t at) {
  const char32_t c = text[at];
  if (c == kCapitalSigma) {
    out += is_final_sigma(text, at) ? kFinalSigma : kSmallSigma;
  } else if (c == kDottedI) {
    out += U"i\u0307";
  } else {
    out += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
}

std::string map_ascii(std::string_view text, char first, char last) {
  std::string out(text);
  for (char& c : out) {
    if (c >= first && c <= last) c = static_cast<char>(c ^ 0x20);
  }
  return out;
}

}  // namespace

std::string to_upper(std::string_view text) {
  if (is_ascii(text)) return map_ascii(text, 'a', 'z');
  std::u32string out;
  for (const char32_t c : to_code_points(text)) append_upper(out, c);
  return to_utf8(out);
}

std::string to_lower(std::string_view text) {
  if (is_ascii(text)) return map_ascii(text, 'A', 'Z');
  const std::u32string points = to_code_points(text);
  std::u32string out;
  for (size_t i = 0; i < points.size(); ++i) append_lower(out, points, i);
  return to_utf8(out);
}

std::string to_title(std::string_view text) {
  const std::u32string points = to_code_points(text);
  std::u32string out;
  bool inside_word = false;
  for (size_t i = 0; i < points.size(); ++i) {
    if (inside_word) {
      append_lower(out, points, i);
    } else {
      append_title(out, points[i]);
    }
    inside_word = is_cased(points[i]);
  }
  return to_utf8(out);
}

std::string capitalize(std::string_view text) {
  const std::u32string points = to_code_points(text);
  std::u32string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i == 0) {
      append_title(out, points[i]);
    } else {
      append_lower(out, points, i);
    }
  }
  return to_utf8(out);
}

std::string swap_case(std::string_view text) {
  const std::u32string points = to_code_points(text);
  std::u32string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (is_upper_case(points[i])) {
      append_lower(out, points, i);
    } else if (is_lower_case(points[i])) {
      append_upper(out, points[i]);
    } else {
      out += points[i];
    }
  }
  return to_utf8(out);
}

std::string case_fold(std::string_view text) {
  if (is_ascii(text)) return to_lower(text);
  utf8proc_uint8_t* folded = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &folded, UTF8PROC_CASEFOLD);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, &std::free);
  if (length < 0) return to_lower(text);
  return {reinterpret_cast<const char*>(folded), static_cast<size_t>(length)};
}

}  // namespace speculators::jinja
