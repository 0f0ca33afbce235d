// + - * / // % ** and the unary signs, on numbers, texts and lists.
#include <algorithm>
#include <cmath>

#include "tokenizer/jinja/markup.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/printf.h"

namespace speculators::jinja {
namespace {

const char* symbol(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      return "** or pow()";
  }
  return "";
}

[[noreturn]] void throw_unsupported(BinaryOperator op, const Value& left, const Value& right) {
  throw_type_error(std::string("unsupported operand type(s) for ") + symbol(op) + ": '" + type_name(left) + "' and '" +
                   type_name(right) + "'");
}

void check_no_overflow(bool overflow) {
  if (overflow) throw_value_error("an integer beyond 128 bits");
}

void check_divisor(bool is_zero, const char* message) {
  if (is_zero) throw_value_error(message);
}

Int floor_divide(Int left, Int right) {
  check_divisor(right == 0, "integer division or modulo by zero");
  const Int quotient = left / right;
  return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient;
}

double float_modulo(double left, double right) {
  const double rest = std::fmod(left, right);
  if (rest == 0) return std::copysign(0.0, right);
  return (rest < 0) != (right < 0) ? rest + right : rest;
}

double float_floor_divide(double left, double right) {
  const double exact = (left - float_modulo(left, right)) / right;
  const double floored = std::floor(exact);
  return exact - floored > 0.5 ? floored + 1 : floored;  // as Python corrects the rounding of the division
}

double float_power(double left, double right) {
  check_divisor(left == 0 && right < 0, "0.0 cannot be raised to a negative power");
  if (left < 0 && std::isfinite(right) && right != std::floor(right)) {
    throw_value_error("a negative number to a fractional power is not real");
  }
  const double power = std::pow(left, right);
  if (std::isinf(power) && std::isfinite(left) && std::isfinite(right)) {
    throw_value_error("(34, 'Numerical result out of range')");
  }
  return power;
}

Value int_power(Int base, Int exponent) {
  if (exponent < 0) return Value(float_power(static_cast<double>(base), static_cast<double>(exponent)));
  Int result = 1;
  // Bases 0, 1, -1 stay small for any exponent; every other base overflows before 128 steps.
  if (base == 0 || base == 1) return Value(exponent == 0 ? Int{1} : base);
  if (base == -1) return Value(exponent % 2 == 0 ? Int{1} : Int{-1});
  for (; exponent > 0; --exponent) check_no_overflow(__builtin_mul_overflow(result, base, &result));
  return Value(result);
}

Value apply_ints(BinaryOperator op, Int left, Int right) {
  Int result = 0;
  switch (op) {
    case BinaryOperator::kAdd:
      check_no_overflow(__builtin_add_overflow(left, right, &result));
      return Value(result);
    case BinaryOperator::kSubtract:
      check_no_overflow(__builtin_sub_overflow(left, right, &result));
      return Value(result);
    case BinaryOperator::kMultiply:
      check_no_overflow(__builtin_mul_overflow(left, right, &result));
      return Value(result);
    case BinaryOperator::kDivide:
      check_divisor(right == 0, "division by zero");
      return Value(static_cast<double>(left) / static_cast<double>(right));
    case BinaryOperator::kFloorDivide:
      return Value(floor_divide(left, right));
    case BinaryOperator::kModulo:
      check_divisor(right == 0, "integer modulo by zero");
      return Value(left - floor_divide(left, right) * right);
    case BinaryOperator::kPower:
      return int_power(left, right);
  }
  return {};
}

Value apply_floats(BinaryOperator op, double left, double right) {
  switch (op) {
    case BinaryOperator::kAdd:
      return Value(left + right);
    case BinaryOperator::kSubtract:
      return Value(left - right);
    case BinaryOperator::kMultiply:
      return Value(left * right);
    case BinaryOperator::kDivide:
      check_divisor(right == 0, "float division by zero");
      return Value(left / right);
    case BinaryOperator::kFloorDivide:
      check_divisor(right == 0, "float floor division by zero");
      return Value(float_floor_divide(left, right));
    case BinaryOperator::kModulo:
      check_divisor(right == 0, "float modulo");
      return Value(float_modulo(left, right));
    case BinaryOperator::kPower:
      return Value(float_power(left, right));
  }
  return {};
}

std::optional<double> as_float(const Value& value) {
  if (const auto* number = value.get_if<double>()) return *number;
  if (const auto number = value.integer()) return static_cast<double>(*number);
  return std::nullopt;
}

Value repeat(const Value& value, Int times) {
  const size_t count = times > 0 ? static_cast<size_t>(std::min(times, Int{kMaxTextBytes} + 1)) : 0;
  if (const auto* text = value.get_if<String>()) {
    check_text_size(text->text->size() * count);
    std::string out;
    out.reserve(text->text->size() * count);
    for (size_t i = 0; i < count; ++i) out += *text->text;
    return text->is_markup ? make_markup(std::move(out)) : Value(std::move(out));
  }
  const List& items = *value.sequence();
  check_list_size(items.size() * count);
  List out;
  for (size_t i = 0; i < count; ++i) out.insert(out.end(), items.begin(), items.end());
  return value.is<Tuple>() ? make_tuple_value(std::move(out)) : Value(std::move(out));
}

Value add_texts(const String& left, const String& right) {
  check_text_size(left.text->size() + right.text->size());
  if (left.is_markup == right.is_markup) {
    return Value(String{std::make_shared<const std::string>(*left.text + *right.text), left.is_markup});
  }
  // Text that is added to markup is escaped.
  return make_markup(left.is_markup ? *left.text + escape_html(*right.text) : escape_html(*left.text) + *right.text);
}

Value add_lists(const Value& left, const Value& right) {
  List out = *left.sequence();
  const List& more = *right.sequence();
  check_list_size(out.size() + more.size());
  out.insert(out.end(), more.begin(), more.end());
  return left.is<Tuple>() ? make_tuple_value(std::move(out)) : Value(std::move(out));
}

bool is_repeatable(const Value& value) { return value.is<String>() || value.sequence() != nullptr; }

Value apply_to_data(BinaryOperator op, const Value& left, const Value& right) {
  if (op == BinaryOperator::kModulo && left.is<String>()) return format_printf(left, right);
  if (op == BinaryOperator::kMultiply) {
    if (is_repeatable(left) && right.integer()) return repeat(left, *right.integer());
    if (is_repeatable(right) && left.integer()) return repeat(right, *left.integer());
    if (is_repeatable(left) || is_repeatable(right)) {
      throw_type_error("can't multiply sequence by non-int of type '" + type_name(is_repeatable(left) ? right : left) +
                       "'");
    }
  }
  if (op == BinaryOperator::kAdd) {
    const auto* a = left.get_if<String>();
    const auto* b = right.get_if<String>();
    if (a != nullptr && b != nullptr) return add_texts(*a, *b);
    const bool is_list = left.sequence() != nullptr;
    if (is_list && left.data().index() == right.data().index()) return add_lists(left, right);
    if (a != nullptr || is_list) {
      const std::string kind = type_name(left);
      throw_type_error("can only concatenate " + kind + " (not \"" + type_name(right) + "\") to " + kind);
    }
  }
  throw_unsupported(op, left, right);
}

}  // namespace

Value apply(BinaryOperator op, const Value& left, const Value& right) {
  const bool formats = op == BinaryOperator::kModulo && left.is<String>();  // an undefined argument prints nothing
  if (const auto* undefined = left.get_if<Undefined>()) throw_undefined(*undefined);
  if (const auto* undefined = right.get_if<Undefined>(); undefined != nullptr && !formats) throw_undefined(*undefined);
  const auto a = left.integer();
  const auto b = right.integer();
  if (a && b) return apply_ints(op, *a, *b);
  const auto x = as_float(left);
  const auto y = as_float(right);
  if (x && y) return apply_floats(op, *x, *y);
  return apply_to_data(op, left, right);
}

Value negate(const Value& value) {
  if (const auto* undefined = value.get_if<Undefined>()) throw_undefined(*undefined);
  if (const auto number = value.integer()) return Value(-*number);
  if (const auto* number = value.get_if<double>()) return Value(-*number);
  throw_type_error("bad operand type for unary -: '" + type_name(value) + "'");
}

Value plus(const Value& value) {
  if (const auto* undefined = value.get_if<Undefined>()) throw_undefined(*undefined);
  if (const auto number = value.integer()) return Value(*number);
  if (value.is<double>()) return value;
  throw_type_error("bad operand type for unary +: '" + type_name(value) + "'");
}

}  // namespace speculators::jinja
