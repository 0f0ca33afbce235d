#include "tokenizer/jinja/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

int digit_value(char32_t c) {
  if (c >= 'a' && c <= 'z') return static_cast<int>(c - 'a') + 10;
  if (c >= 'A' && c <= 'Z') return static_cast<int>(c - 'A') + 10;
  return decimal_value(c);
}

// Digits with single underscores between them; nullopt when anything else is there.
std::optional<Int> parse_digits(const std::u32string& digits, int base, bool after_prefix) {
  Int value = 0;
  bool was_digit = after_prefix;  // an underscore may follow a prefix, but not open a number
  for (const char32_t c : digits) {
    if (c == '_' && was_digit) {
      was_digit = false;
      continue;
    }
    const int digit = digit_value(c);
    if (digit < 0 || digit >= base) return std::nullopt;
    if (__builtin_mul_overflow(value, Int{base}, &value) || __builtin_add_overflow(value, Int{digit}, &value)) {
      throw_value_error("an integer beyond 128 bits");
    }
    was_digit = true;
  }
  if (!was_digit || digits.empty()) return std::nullopt;
  return value;
}

int prefix_base(const std::u32string& text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  switch (text[1] | 0x20) {
    case 'b':
      return 2;
    case 'o':
      return 8;
    case 'x':
      return 16;
    default:
      return 0;
  }
}

std::string place_point(const std::string& digits, int exponent) {
  const int count = static_cast<int>(digits.size());
  if (exponent < 0) return "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (exponent + 1 >= count) return digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
  return digits.substr(0, exponent + 1) + "." + digits.substr(exponent + 1);
}

std::string with_exponent(const std::string& digits, int exponent) {
  std::string out = digits.substr(0, 1);
  if (digits.size() > 1) out += "." + digits.substr(1);
  const std::string power = std::to_string(std::abs(exponent));
  return out + (exponent < 0 ? "e-" : "e+") + (power.size() < 2 ? "0" : "") + power;
}

}  // namespace

std::string format_int(Int value, int base) {
  using Unsigned = unsigned __int128;
  Unsigned rest = value < 0 ? Unsigned{0} - static_cast<Unsigned>(value) : static_cast<Unsigned>(value);
  std::string out;
  do {
    out += "0123456789abcdef"[static_cast<int>(rest % static_cast<unsigned>(base))];
    rest /= static_cast<unsigned>(base);
  } while (rest != 0);
  if (value < 0) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

std::string format_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific).ptr;
  const std::string text(buffer, end);  // d.ddde+xx
  const size_t e = text.find('e');
  std::string digits = text.substr(0, e);
  std::erase(digits, '.');
  const int exponent = std::stoi(text.substr(e + 1));
  const std::string sign = std::signbit(value) ? "-" : "";
  // Python writes a power of ten below 1e-4 and from 1e16 on.
  return sign + (exponent < -4 || exponent >= 16 ? with_exponent(digits, exponent) : place_point(digits, exponent));
}

std::optional<Int> parse_int(std::string_view text, int base) {
  std::u32string digits = to_code_points(strip_left(strip_right(text)));
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.erase(0, 1);
  const int prefix = prefix_base(digits);
  const bool has_prefix = prefix != 0 && (base == prefix || base == 0);
  if (has_prefix) digits.erase(0, 2);
  if (base == 0) base = has_prefix ? prefix : 10;
  if (base < 2 || base > 36) throw_value_error("int() base must be >= 2 and <= 36, or 0");
  const auto value = parse_digits(digits, base, has_prefix);
  if (!value) return std::nullopt;
  return negative ? -*value : *value;
}

std::optional<double> parse_float(std::string_view text) {
  std::string plain;
  bool was_digit = false;
  const std::u32string points = to_code_points(strip_left(strip_right(text)));
  for (size_t i = 0; i < points.size(); ++i) {
    const char32_t c = points[i];
    if (c == '_') {
      if (!was_digit || i + 1 == points.size() || decimal_value(points[i + 1]) < 0) return std::nullopt;
      was_digit = false;
      continue;
    }
    const int digit = decimal_value(c);
    was_digit = digit >= 0;
    if (digit < 0 && c >= 0x80) return std::nullopt;
    plain += digit >= 0 ? static_cast<char>('0' + digit) : static_cast<char>(c);
  }
  const size_t start = !plain.empty() && plain[0] == '+' ? 1 : 0;
  if (start == 1 && plain.size() > 1 && plain[1] == '-') return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(plain.data() + start, plain.data() + plain.size(), value);
  if (end != plain.data() + plain.size() || plain.size() == start) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(plain.c_str() + start, nullptr);
  if (error != std::errc()) return std::nullopt;
  // from_chars also takes nan(text), which Python refuses.
  return plain.find('(') == std::string::npos ? std::optional(value) : std::nullopt;
}

std::optional<Int> truncate_to_int(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (std::abs(value) >= std::ldexp(1.0, 126)) throw_value_error("an integer beyond 128 bits");
  return static_cast<Int>(value);
}

}  // namespace speculators::jinja
