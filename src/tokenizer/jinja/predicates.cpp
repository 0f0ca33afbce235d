#include "tokenizer/jinja/predicates.h"

#include <algorithm>
#include <unordered_map>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/stringify.h"

namespace speculators::jinja {
namespace {

template <bool (*Holds)(const Value&)>
bool plain(Renderer&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("test", arguments, {}, 0);
  return Holds(value);
}

bool is_defined(const Value& value) { return !value.is<Undefined>(); }
bool is_undefined(const Value& value) { return value.is<Undefined>(); }
bool is_none(const Value& value) { return value.is<None>(); }
bool is_boolean(const Value& value) { return value.is<bool>(); }
bool is_true(const Value& value) { return value.is<bool>() && *value.get_if<bool>(); }
bool is_false(const Value& value) { return value.is<bool>() && !*value.get_if<bool>(); }
bool is_integer(const Value& value) { return value.is<Int>(); }
bool is_float(const Value& value) { return value.is<double>(); }
bool is_number(const Value& value) { return value.integer().has_value() || value.is<double>(); }
bool is_string(const Value& value) { return value.is<String>(); }
bool is_mapping(const Value& value) { return value.is<DictPtr>(); }
bool is_iterable_value(const Value& value) { return is_iterable(value); }
bool is_escaped(const Value& value) { return value.is<String>() && value.get_if<String>()->is_markup; }

// What has a length and takes subscripts; undefined pretends to.
bool is_sequence(const Value& value) {
  if (Object* object = value.object()) return object->has_items();
  return find_length(value).has_value();
}

// An undefined value is callable in Python's eyes: calling it is what fails.
bool is_callable(const Value& value) {
  return value.is<Undefined>() || (value.object() != nullptr && value.object()->is_callable());
}

bool has_letter_case(const Value& value, const char* method) {
  Arguments none;
  const Value text(to_text(value));
  return is_truthy(find_method(text, method)(text, none));
}
bool is_lower(const Value& value) { return has_letter_case(value, "islower"); }
bool is_upper(const Value& value) { return has_letter_case(value, "isupper"); }

Value modulo(const Value& value, const Value& divisor) { return apply(BinaryOperator::kModulo, value, divisor); }
bool is_odd(const Value& value) { return equals(modulo(value, Value(2)), Value(1)); }
bool is_even(const Value& value) { return equals(modulo(value, Value(2)), Value(0)); }

bool is_filter(const Value& value) { return value.string() != nullptr && find_filter(*value.string()) != nullptr; }
bool is_test(const Value& value) { return value.string() != nullptr && find_predicate(*value.string()) != nullptr; }

bool divisible_by(Renderer&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("test_divisibleby", arguments, {"num"}, 1);
  return equals(modulo(value, bound.get(0)), Value(0));
}
bool same_as(Renderer&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("test_sameas", arguments, {"other"}, 1);
  return is_same(value, bound.get(0));
}
bool is_in(Renderer&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("test_in", arguments, {"seq"}, 1);
  return contains(bound.get(0), value);
}
template <bool Wanted>
bool equal_to(Renderer&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("eq", arguments, {"other"}, 1);
  return equals(value, bound.get(0)) == Wanted;
}
template <CompareOperator Op>
bool ordered(Renderer&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("compare", arguments, {"other"}, 1);
  return compare(Op, value, bound.get(0));
}

using Table = std::unordered_map<std::string_view, Predicate>;
const Table& table() {
  static const auto* predicates = new Table{
      {"!=", equal_to<false>},
      {"<", ordered<CompareOperator::kLess>},
      {"<=", ordered<CompareOperator::kLessEqual>},
      {"==", equal_to<true>},
      {">", ordered<CompareOperator::kGreater>},
      {">=", ordered<CompareOperator::kGreaterEqual>},
      {"boolean", plain<is_boolean>},
      {"callable", plain<is_callable>},
      {"defined", plain<is_defined>},
      {"divisibleby", divisible_by},
      {"eq", equal_to<true>},
      {"equalto", equal_to<true>},
      {"escaped", plain<is_escaped>},
      {"even", plain<is_even>},
      {"false", plain<is_false>},
      {"filter", plain<is_filter>},
      {"float", plain<is_float>},
      {"ge", ordered<CompareOperator::kGreaterEqual>},
      {"greaterthan", ordered<CompareOperator::kGreater>},
      {"gt", ordered<CompareOperator::kGreater>},
      {"in", is_in},
      {"integer", plain<is_integer>},
      {"iterable", plain<is_iterable_value>},
      {"le", ordered<CompareOperator::kLessEqual>},
      {"lessthan", ordered<CompareOperator::kLess>},
      {"lower", plain<is_lower>},
      {"lt", ordered<CompareOperator::kLess>},
      {"mapping", plain<is_mapping>},
      {"ne", equal_to<false>},
      {"none", plain<is_none>},
      {"number", plain<is_number>},
      {"odd", plain<is_odd>},
      {"sameas", same_as},
      {"sequence", plain<is_sequence>},
      {"string", plain<is_string>},
      {"test", plain<is_test>},
      {"true", plain<is_true>},
      {"undefined", plain<is_undefined>},
      {"upper", plain<is_upper>},
  };
  return *predicates;
}

}  // namespace

Predicate find_predicate(std::string_view name) {
  const auto found = table().find(name);
  return found != table().end() ? found->second : nullptr;
}

}  // namespace speculators::jinja
