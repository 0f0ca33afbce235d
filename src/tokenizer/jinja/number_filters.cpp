// Filters that make or change numbers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/attribute_path.h"
#include "tokenizer/jinja/filter_lists.h"
#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/operators.h"

namespace speculators::jinja {
namespace {

double need_number(const Value& value) {
  if (const auto* undefined = value.get_if<Undefined>()) throw_undefined(*undefined);
  if (const auto* number = value.get_if<double>()) return *number;
  if (const auto number = value.integer()) return static_cast<double>(*number);
  throw_type_error("must be real number, not " + type_name(value));
}

Value abs_filter(Renderer&, const Value& input, const Arguments&) {
  if (const auto number = input.integer()) return Value(*number < 0 ? -*number : *number);
  if (const auto* number = input.get_if<double>()) return Value(std::abs(*number));
  if (const auto* undefined = input.get_if<Undefined>()) throw_undefined(*undefined);
  throw_type_error("bad operand type for abs(): '" + type_name(input) + "'");
}

// "42.9" gives 42, as int(float(text)) does.
std::optional<Int> int_of_text(const std::string& text, int base) {
  if (const auto number = parse_int(text, base)) return number;
  const auto real = parse_float(text);
  return real ? truncate_to_int(*real) : std::nullopt;
}

Value int_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_int", arguments, {"default", "base"}, 0);
  if (const auto* undefined = input.get_if<Undefined>()) throw_undefined(*undefined);
  std::optional<Int> number = input.integer();
  if (const std::string* text = input.string()) {
    number = int_of_text(*text, static_cast<int>(std::clamp(bound.get_int(1, 10), Int{-1}, Int{100})));
  }
  if (const auto* real = input.get_if<double>()) {
    if (std::isinf(*real)) throw_value_error("cannot convert float infinity to integer");
    number = truncate_to_int(*real);
  }
  return number ? Value(*number) : bound.get_or(0, Value(0));
}

Value float_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_float", arguments, {"default"}, 0);
  if (const auto* undefined = input.get_if<Undefined>()) throw_undefined(*undefined);
  if (input.is<double>()) return input;
  if (const auto number = input.integer()) return Value(static_cast<double>(*number));
  const auto real = input.string() != nullptr ? parse_float(*input.string()) : std::nullopt;
  return real ? Value(*real) : bound.get_or(0, Value(0.0));
}

// Half to even on the exact decimal value, as Python's round does; printf rounds the same way.
double round_double(double value, int digits) {
  if (!std::isfinite(value) || digits > 300) return value;
  if (digits < 0) {
    const double unit = std::pow(10.0, -digits);
    return std::nearbyint(value / unit) * unit;
  }
  char buffer[768];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return std::strtod(buffer, nullptr);
}

Int round_int(Int value, int digits) {
  if (digits >= 0) return value;
  if (digits < -37) return 0;
  Int unit = 1;
  for (int i = 0; i < -digits; ++i) unit *= 10;
  Int rest = value % unit;
  if (rest < 0) rest += unit;
  const Int down = value - rest;
  const bool up = rest * 2 > unit || (rest * 2 == unit && (down / unit) % 2 != 0);
  return up ? down + unit : down;
}

Value round_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_round", arguments, {"precision", "method"}, 0);
  const std::string method = bound.find(1) != nullptr ? bound.get_string(1) : "common";
  const int digits = static_cast<int>(std::clamp(bound.get_int(0, 0), Int{-400}, Int{400}));
  if (method != "common" && method != "ceil" && method != "floor") {
    throw_runtime_error("method must be common, ceil or floor");
  }
  if (method == "common") {
    if (const auto number = input.integer()) return Value(round_int(*number, digits));
    return Value(round_double(need_number(input), digits));
  }
  const double scale = std::pow(10.0, digits);
  const double scaled = need_number(input) * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value sum_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_sum", arguments, {"attribute", "start"}, 0);
  const AttributePath path(bound.get_or(0, Value()));
  Value total = bound.get_or(1, Value(0));
  if (total.string() != nullptr) throw_type_error("sum() can't sum strings [use ''.join(seq) instead]");
  const IteratorPtr iterator = iterate(input);
  for (Value item; iterator->next(item);) total = apply(BinaryOperator::kAdd, total, path.get(item));
  return total;
}

Value filesizeformat_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_filesizeformat", arguments, {"binary"}, 0);
  const bool binary = bound.get_bool(0, false);
  const std::optional<double> parsed = input.string() != nullptr ? parse_float(*input.string()) : need_number(input);
  if (!parsed) throw_value_error("filesizeformat expects a number");
  const double bytes = *parsed;
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return Value("1 Byte");
  if (bytes < base) return Value(std::to_string(static_cast<int64_t>(bytes)) + " Bytes");
  constexpr const char* kPrefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
  double unit = base * base;
  size_t i = 0;
  while (i + 1 < std::size(kPrefixes) && bytes >= unit) {
    unit *= base;
    ++i;
  }
  char buffer[64];
  const std::string prefix = binary && i == 0 ? "K" : kPrefixes[i];
  std::snprintf(buffer, sizeof buffer, "%.1f %s%s", base * bytes / unit, prefix.c_str(), binary ? "iB" : "B");
  return Value(buffer);
}

constexpr NamedFilter kFilters[] = {
    {"abs", abs_filter},     {"filesizeformat", filesizeformat_filter},
    {"float", float_filter}, {"int", int_filter},
    {"round", round_filter}, {"sum", sum_filter},
};

}  // namespace

std::span<const NamedFilter> number_filters() { return kFilters; }

}  // namespace speculators::jinja
