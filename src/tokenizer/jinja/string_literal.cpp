#include "tokenizer/jinja/string_literal.h"

#include "tokenizer/jinja/error.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Reads exactly `count` hexadecimal digits.
char32_t read_hex(std::string_view body, size_t& i, int count) {
  char32_t value = 0;
  for (int k = 0; k < count; ++k, ++i) {
    const int digit = i < body.size() ? hex_value(body[i]) : -1;
    if (digit < 0) {
      throw TemplateError(ErrorKind::kSyntax, count == 2   ? "truncated \\xXX escape"
                                              : count == 4 ? "truncated \\uXXXX escape"
                                                           : "truncated \\UXXXXXXXX escape");
    }
    value = value * 16 + static_cast<char32_t>(digit);
  }
  if (value > 0x10FFFF) throw TemplateError(ErrorKind::kSyntax, "illegal Unicode character");
  return value;
}

// Two \u escapes may spell one character as a surrogate pair.
char32_t read_utf16(std::string_view body, size_t& i) {
  const char32_t first = read_hex(body, i, 4);
  if (first < 0xD800 || first > 0xDBFF || !body.substr(i).starts_with("\\u")) return first;
  size_t next = i + 2;
  const char32_t second = read_hex(body, next, 4);
  if (second < 0xDC00 || second > 0xDFFF) return first;
  i = next;
  return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

char32_t read_octal(std::string_view body, size_t& i) {
  char32_t value = 0;
  for (int k = 0; k < 3 && i < body.size() && body[i] >= '0' && body[i] <= '7'; ++k) {
    value = value * 8 + static_cast<char32_t>(body[i++] - '0');
  }
  return value;
}

}  // namespace

std::string unescape_literal(std::string_view body) {
  std::string out;
  for (size_t i = 0; i < body.size();) {
    if (body[i] != '\\') {
      out += body[i++];
      continue;
    }
    if (++i == body.size()) throw TemplateError(ErrorKind::kSyntax, "\\ at end of string");
    const char c = body[i++];
    switch (c) {
      case '\n':
        break;  // a line that goes on
      case '\\':
      case '\'':
      case '"':
        out += c;
        break;
      case 'a':
        out += '\a';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'v':
        out += '\v';
        break;
      case 'x':
        append_utf8(out, read_hex(body, i, 2));
        break;
      case 'u':
        append_utf8(out, read_utf16(body, i));
        break;
      case 'U':
        append_utf8(out, read_hex(body, i, 8));
        break;
      case 'N':
        throw TemplateError(ErrorKind::kSyntax, "\\N{...} escapes are not supported; use \\u");
      default:
        if (c >= '0' && c <= '7') {
          --i;
          append_utf8(out, read_octal(body, i));
        } else {
          out += '\\';
          out += c;
        }
    }
  }
  return out;
}

}  // namespace speculators::jinja
