#include "tokenizer/jinja/printf.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/stringify.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

constexpr int kMaxWidth = 1 << 20;

struct Conversion {
  bool left = false, plus = false, blank = false, alternate = false, zero = false;
  int width = 0;
  int precision = -1;
  char type = 's';
};

// Hands out the values one conversion after another.
class Values {
 public:
  explicit Values(const Value& values) : values_(values), tuple_(values.get_if<Tuple>()) {}
  const Value& next() {
    if (tuple_ != nullptr && used_ < tuple_->items->size()) return (*tuple_->items)[used_++];
    if (tuple_ != nullptr || used_ > 0) throw_type_error("not enough arguments for format string");
    ++used_;
    return values_;
  }
  const Value& get(const std::string& key) {
    const Dict* dict = values_.dict();
    if (dict == nullptr) throw_type_error("format requires a mapping");
    uses_keys_ = true;
    const Value* found = dict->find(key);
    if (found == nullptr) throw_value_error(quote_text(key));  // Python's KeyError
    return *found;
  }
  void check_all_used() const {
    const bool all = tuple_ != nullptr ? used_ == tuple_->items->size() : used_ > 0;
    // Lists, dicts and the like may stay unused, as in Python.
    const bool optional = uses_keys_ || values_.dict() != nullptr || values_.is<ListPtr>() || values_.is<Undefined>();
    if (!all && !optional) throw_type_error("not all arguments converted during string formatting");
  }

 private:
  const Value& values_;
  const Tuple* tuple_;
  size_t used_ = 0;
  bool uses_keys_ = false;
};

std::string printf_double(double value, const Conversion& how, char type) {
  std::string format = how.alternate ? "%#.*" : "%.*";
  format += type;
  const int precision = how.precision < 0 ? 6 : how.precision;
  const int size = std::snprintf(nullptr, 0, format.c_str(), precision, value);
  std::string out(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(out.data(), out.size(), format.c_str(), precision, value);
  out.pop_back();
  return out;
}

// Sign in front, zeros between sign and digits, blanks outside.
std::string pad_number(std::string digits, bool negative, const Conversion& how, const std::string& prefix = "") {
  std::string head = negative ? "-" : how.plus ? "+" : how.blank ? " " : "";
  head += prefix;
  const int missing = how.width - static_cast<int>(head.size() + digits.size());
  if (missing <= 0) return head + digits;
  const std::string fill(static_cast<size_t>(missing), how.zero && !how.left ? '0' : ' ');
  if (how.left) return head + digits + fill;
  return how.zero ? head + fill + digits : fill + head + digits;
}

std::string pad_text(std::string text, const Conversion& how) {
  if (how.precision >= 0) {
    std::u32string points = to_code_points(text);
    if (points.size() > static_cast<size_t>(how.precision)) {
      text = to_utf8(points.substr(0, static_cast<size_t>(how.precision)));
    }
  }
  const int missing = how.width - static_cast<int>(count_code_points(text));
  if (missing <= 0) return text;
  const std::string fill(static_cast<size_t>(missing), ' ');
  return how.left ? text + fill : fill + text;
}

double get_real(const Value& value) {
  if (const auto* number = value.get_if<double>()) return *number;
  if (const auto number = value.integer()) return static_cast<double>(*number);
  throw_type_error("must be real number, not " + type_name(value));
}

std::string convert_integer(const Value& value, const Conversion& how) {
  std::optional<Int> number = value.integer();
  const auto* real = value.get_if<double>();
  const bool decimal = how.type == 'd' || how.type == 'i' || how.type == 'u';
  if (!number && real != nullptr && decimal) number = truncate_to_int(*real);
  if (!number) {
    throw_type_error(std::string("%") + how.type + " format: " + (decimal ? "a real number" : "an integer") +
                     " is required, not " + type_name(value));
  }
  const int base = decimal ? 10 : how.type == 'o' ? 8 : 16;
  std::string digits = format_int(*number < 0 ? -*number : *number, base);
  if (how.precision > static_cast<int>(digits.size())) {
    digits.insert(0, static_cast<size_t>(how.precision) - digits.size(), '0');
  }
  std::string prefix = !how.alternate || decimal ? "" : base == 8 ? "0o" : "0x";
  if (how.type == 'X') {
    digits = to_upper(digits);
    prefix = to_upper(prefix);
  }
  return pad_number(digits, *number < 0, how, prefix);
}

std::string convert_float(const Value& value, const Conversion& how) {
  const double number = get_real(value);
  return pad_number(printf_double(std::abs(number), how, how.type), std::signbit(number), how);
}

std::string convert_character(const Value& value, const Conversion& how) {
  std::string text;
  if (const auto number = value.integer()) {
    if (*number < 0 || *number > 0x10FFFF) throw_value_error("%c arg not in range(0x110000)");
    append_utf8(text, static_cast<char32_t>(*number));
  } else if (value.string() != nullptr && count_code_points(*value.string()) == 1) {
    text = *value.string();
  } else {
    throw_type_error("%c requires int or char");
  }
  return pad_text(text, how);
}

std::string convert(const Value& value, const Conversion& how) {
  switch (how.type) {
    case 's':
      return pad_text(to_text(value), how);
    case 'r':
    case 'a':
      return pad_text(to_repr(value), how);
    case 'c':
      return convert_character(value, how);
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
      return convert_integer(value, how);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
      return convert_float(value, how);
    default:
      throw_value_error(std::string("unsupported format character '") + how.type + "'");
  }
}

class PrintfReader {
 public:
  PrintfReader(std::string_view format, Values& values) : format_(format), values_(values) {}

  std::string run() {
    while (position_ < format_.size()) {
      const char c = format_[position_++];
      if (c != '%') {
        out_ += c;
      } else {
        read_conversion();
      }
      check_text_size(out_.size());
    }
    return std::move(out_);
  }

 private:
  char peek() const {
    if (position_ >= format_.size()) throw_value_error("incomplete format");
    return format_[position_];
  }

  std::optional<std::string> read_key() {
    if (peek() != '(') return std::nullopt;
    int depth = 1;
    const size_t start = ++position_;
    for (; depth > 0; ++position_) {
      if (position_ >= format_.size()) throw_value_error("incomplete format key");
      depth += format_[position_] == '(' ? 1 : format_[position_] == ')' ? -1 : 0;
    }
    return std::string(format_.substr(start, position_ - start - 1));
  }

  int read_number() {
    if (peek() == '*') {
      ++position_;
      const auto number = values_.next().integer();
      if (!number) throw_type_error("* wants int");
      return static_cast<int>(std::clamp(*number, Int{-kMaxWidth}, Int{kMaxWidth}));
    }
    int number = 0;
    while (peek() >= '0' && peek() <= '9') number = std::min(kMaxWidth, number * 10 + (format_[position_++] - '0'));
    return number;
  }

  void read_flags(Conversion& how) {
    for (;; ++position_) {
      switch (peek()) {
        case '-':
          how.left = true;
          break;
        case '+':
          how.plus = true;
          break;
        case ' ':
          how.blank = true;
          break;
        case '#':
          how.alternate = true;
          break;
        case '0':
          how.zero = true;
          break;
        default:
          return;
      }
    }
  }

  void read_conversion() {
    Conversion how;
    const auto key = read_key();
    read_flags(how);
    how.width = read_number();
    if (how.width < 0) {
      how.left = true;
      how.width = -how.width;
    }
    if (peek() == '.') {
      ++position_;
      how.precision = std::max(0, read_number());
    }
    if (peek() == 'h' || peek() == 'l' || peek() == 'L') ++position_;
    how.type = peek();
    ++position_;
    if (how.type == '%') {
      out_ += '%';
      return;
    }
    out_ += convert(key ? values_.get(*key) : values_.next(), how);
  }

  std::string_view format_;
  Values& values_;
  size_t position_ = 0;
  std::string out_;
};

}  // namespace

Value format_printf(const Value& format, const Value& values) {
  const String& text = *format.get_if<String>();
  Values source(values);
  std::string out = PrintfReader(*text.text, source).run();
  source.check_all_used();
  return text.is_markup ? make_markup(std::move(out)) : Value(std::move(out));
}

}  // namespace speculators::jinja
