// text.format(...): replacement fields and the format specification mini-language.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/printf.h"
#include "tokenizer/jinja/stringify.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

constexpr int kMaxWidth = 1 << 20;

struct Spec {
  char32_t fill = ' ';
  char align = 0;  // '<', '>', '^', '=' or 0
  char sign = '-';
  bool alternate = false;
  int width = 0;
  char grouping = 0;  // ',' or '_'
  int precision = -1;
  char type = 0;
};

bool is_align(char32_t c) { return c == '<' || c == '>' || c == '^' || c == '='; }

class SpecReader {
 public:
  explicit SpecReader(std::string_view text) : points_(to_code_points(text)) {}

  Spec read() {
    Spec spec;
    read_align(spec);
    if (at('+') || at('-') || at(' ')) spec.sign = static_cast<char>(points_[i_++]);
    if (at('#')) spec.alternate = ++i_ > 0;
    if (at('0') && spec.align == 0) {
      spec.fill = '0';
      spec.align = '=';
    }
    spec.width = std::max(0, read_number());
    if (at(',') || at('_')) spec.grouping = static_cast<char>(points_[i_++]);
    if (at('.')) {
      ++i_;
      spec.precision = read_number();
      if (spec.precision < 0) throw_value_error("Format specifier missing precision");
    }
    if (i_ < points_.size()) spec.type = static_cast<char>(points_[i_++]);
    if (i_ < points_.size()) throw_value_error("Invalid format specifier");
    return spec;
  }

 private:
  bool at(char32_t c) const { return i_ < points_.size() && points_[i_] == c; }

  void read_align(Spec& spec) {
    if (points_.size() > 1 && is_align(points_[1])) {
      spec.fill = points_[0];
      spec.align = static_cast<char>(points_[1]);
      i_ = 2;
    } else if (!points_.empty() && is_align(points_[0])) {
      spec.align = static_cast<char>(points_[0]);
      i_ = 1;
    }
  }

  int read_number() {
    int number = -1;
    while (i_ < points_.size() && points_[i_] >= '0' && points_[i_] <= '9') {
      number = std::min(kMaxWidth, std::max(number, 0) * 10 + static_cast<int>(points_[i_++] - '0'));
    }
    return number;
  }

  std::u32string points_;
  size_t i_ = 0;
};

std::string group_digits(const std::string& number, const Spec& spec, int every) {
  if (spec.grouping == 0) return number;
  size_t digits = 0;
  while (digits < number.size() && number[digits] != '.' && number[digits] != 'e' && number[digits] != '%') ++digits;
  std::string out;
  for (size_t i = 0; i < digits; ++i) {
    if (i > 0 && (digits - i) % static_cast<size_t>(every) == 0) out += spec.grouping;
    out += number[i];
  }
  return out + number.substr(digits);
}

std::string pad(const std::string& head, const std::string& body, const Spec& spec, char natural_align) {
  const int missing = spec.width - static_cast<int>(count_code_points(head) + count_code_points(body));
  if (missing <= 0) return head + body;
  std::string fill, fill_right;
  const char align = spec.align != 0 ? spec.align : natural_align;
  const int left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  for (int i = 0; i < left; ++i) append_utf8(fill, spec.fill);
  for (int i = left; i < missing; ++i) append_utf8(fill_right, spec.fill);
  return align == '=' ? head + fill + body : fill + head + body + fill_right;
}

std::string sign_of(bool negative, const Spec& spec) {
  if (negative) return "-";
  return spec.sign == '-' ? "" : std::string(1, spec.sign);
}

[[noreturn]] void throw_unknown_code(char type, const std::string& kind) {
  throw_value_error(std::string("Unknown format code '") + type + "' for object of type '" + kind + "'");
}

std::string format_double(double value, const Spec& spec, const std::string& kind) {
  const double size = std::abs(value);
  const char type = spec.type == 0 ? 'g' : spec.type;
  std::string body;
  if (spec.type == 0 && spec.precision < 0) {
    body = format_float(size);
  } else {
    if (std::string_view("eEfFgG%").find(type) == std::string_view::npos) throw_unknown_code(type, kind);
    std::string format = spec.alternate ? "%#.*" : "%.*";
    format += type == '%' ? 'f' : type;
    char buffer[512];
    const int precision = std::min(spec.precision < 0 ? 6 : spec.precision, 100);
    std::snprintf(buffer, sizeof buffer, format.c_str(), precision, type == '%' ? size * 100 : size);
    body = buffer;
    if (type == '%') body += '%';
  }
  return pad(sign_of(std::signbit(value), spec), group_digits(body, spec, 3), spec, '>');
}

std::string format_integer(Int value, const Spec& spec) {
  const Int size = value < 0 ? -value : value;
  std::string body, prefix;
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n':
      body = format_int(size);
      break;
    case 'b':
      body = format_int(size, 2);
      prefix = "0b";
      break;
    case 'o':
      body = format_int(size, 8);
      prefix = "0o";
      break;
    case 'x':
    case 'X':
      body = format_int(size, 16);
      prefix = "0x";
      break;
    case 'c':
      append_utf8(body, static_cast<char32_t>(size));
      return pad("", body, spec, '<');
    default:
      return format_double(static_cast<double>(value), spec, "int");
  }
  if (spec.precision >= 0) throw_value_error("Precision not allowed in integer format specifier");
  body = group_digits(body, spec, prefix.empty() ? 3 : 4);
  std::string head = sign_of(value < 0, spec) + (spec.alternate ? prefix : "");
  if (spec.type == 'X') {
    body = to_upper(body);
    head = to_upper(head);
  }
  return pad(head, body, spec, '>');
}

std::string format_string(const std::string& text, const Spec& spec) {
  if (spec.type != 0 && spec.type != 's') throw_unknown_code(spec.type, "str");
  if (spec.align == '=') throw_value_error("'=' alignment not allowed in string format specifier");
  std::string body = text;
  if (spec.precision >= 0) body = to_utf8(to_code_points(text).substr(0, static_cast<size_t>(spec.precision)));
  return pad("", body, spec, '<');
}

// Reads "{name.attribute[item]!r:spec}" fields.
class FieldReader {
 public:
  FieldReader(std::string_view format, const Arguments& arguments, int depth = 0)
      : format_(format), arguments_(arguments), depth_(depth) {}

  std::string run() {
    std::string out;
    while (i_ < format_.size()) {
      const char c = format_[i_++];
      const bool doubled = i_ < format_.size() && format_[i_] == c;
      if ((c == '{' || c == '}') && doubled) {
        out += c;
        ++i_;
      } else if (c == '}') {
        throw_value_error("Single '}' encountered in format string");
      } else if (c == '{') {
        out += read_field();
      } else {
        out += c;
      }
      check_text_size(out.size());
    }
    return out;
  }

 private:
  // The text up to the bracket that closes the field.
  std::string_view read_body() {
    int open = 1;
    const size_t start = i_;
    for (; i_ < format_.size(); ++i_) {
      if (format_[i_] == '{') ++open;
      if (format_[i_] == '}' && --open == 0) return format_.substr(start, i_++ - start);
    }
    throw_value_error(start == format_.size() ? "Single '{' encountered in format string"
                                              : "expected '}' before end of string");
  }

  std::string read_field() {
    const std::string_view body = read_body();
    // A '!' or ':' inside [...] belongs to the item.
    size_t end = 0;
    for (int bracket = 0; end < body.size(); ++end) {
      if (body[end] == '[') ++bracket;
      if (body[end] == ']') --bracket;
      if (bracket == 0 && (body[end] == '!' || body[end] == ':')) break;
    }
    Value value = look_up(body.substr(0, end));
    std::string_view rest = body.substr(end);
    if (rest.starts_with('!')) {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':'))
        throw_value_error("expected ':' after conversion specifier");
      value = rest[1] == 'r' || rest[1] == 'a' ? Value(to_repr(value)) : Value(to_text(value));
      rest.remove_prefix(2);
    }
    std::string spec(rest.starts_with(':') ? rest.substr(1) : std::string_view());
    if (spec.find('{') != std::string::npos) {
      if (depth_ > 0) throw_value_error("Max string recursion exceeded");
      FieldReader inner(spec, arguments_, depth_ + 1);
      inner.next_index_ = next_index_;
      const std::string resolved = inner.run();
      next_index_ = inner.next_index_;
      return format_with_spec(value, resolved);
    }
    return format_with_spec(value, spec);
  }

  Value first_value(std::string_view name) {
    const auto number = name.empty() ? std::optional<Int>(next_index_++) : parse_int(name, 10);
    if (!number) {
      for (const auto& [key, value] : arguments_.keywords) {
        if (key == name) return value;
      }
      throw_value_error(quote_text(name));  // Python's KeyError
    }
    if (*number < 0 || *number >= static_cast<Int>(arguments_.positional.size())) {
      throw_value_error("Replacement index " + format_int(*number) + " out of range for positional args tuple");
    }
    return arguments_.positional[static_cast<size_t>(*number)];
  }

  Value look_up(std::string_view path) {
    const size_t end = std::min(path.find('.'), path.find('['));
    Value value = first_value(path.substr(0, end));
    path.remove_prefix(std::min(end, path.size()));
    while (!path.empty()) {
      if (path[0] == '[') {
        const size_t close = path.find(']');
        if (close == std::string_view::npos) throw_value_error("Missing ']' in format string");
        const std::string_view item = path.substr(1, close - 1);
        const bool is_index = !item.empty() && item.find_first_not_of("0123456789") == std::string_view::npos;
        value = get_item(value, is_index ? Value(*parse_int(item, 10)) : Value(item));
        path.remove_prefix(close + 1);
        continue;
      }
      if (path[0] != '.') throw_value_error("Only '.' or '[' may follow ']' in format field specifier");
      const size_t stop = path.find_first_of(".[", 1);
      value = get_attribute(value, path.substr(1, stop == std::string_view::npos ? stop : stop - 1));
      path.remove_prefix(std::min(stop, path.size()));
    }
    return value;
  }

  std::string_view format_;
  const Arguments& arguments_;
  int depth_;
  size_t i_ = 0;
  int next_index_ = 0;
};

}  // namespace

std::string format_fields(std::string_view format, const Arguments& arguments) {
  return FieldReader(format, arguments).run();
}

std::string format_with_spec(const Value& value, std::string_view spec) {
  if (spec.empty()) return to_text(value);
  const Spec parsed = SpecReader(spec).read();
  if (const std::string* text = value.string()) return format_string(*text, parsed);
  if (const auto* number = value.get_if<double>()) return format_double(*number, parsed, "float");
  if (const auto number = value.integer()) return format_integer(*number, parsed);
  throw_type_error("unsupported format string passed to " + type_name(value) + ".__format__");
}

}  // namespace speculators::jinja
