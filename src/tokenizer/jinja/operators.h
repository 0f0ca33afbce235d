// Python's operators on values: arithmetic, comparison, membership, attributes and subscripts, with Python's messages.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

enum class BinaryOperator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
enum class CompareOperator { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

bool is_truthy(const Value& value);
bool equals(const Value& left, const Value& right);
// left < right (or <=, >, >=); throws a type error for values without an order.
bool compare(CompareOperator op, const Value& left, const Value& right);
bool contains(const Value& container, const Value& item);
bool is_same(const Value& left, const Value& right);  // Python's `is`, as far as values can tell

Value apply(BinaryOperator op, const Value& left, const Value& right);
Value negate(const Value& value);
Value plus(const Value& value);  // unary

// `owner.name`: an attribute (a method, say) first, else the item of that name, else undefined.
Value get_attribute(const Value& owner, std::string_view name);
// `owner[item]`: the item first, else the attribute of that name, else undefined.
Value get_item(const Value& owner, const Value& item);
// Only attributes, never items. nullopt: there is none.
std::optional<Value> find_attribute(const Value& owner, std::string_view name);

struct SliceBounds {
  std::optional<Int> start, stop, step;
};
Value get_slice(const Value& owner, const SliceBounds& bounds);
std::optional<Int> slice_bound(const Value& value);  // None: nullopt; throws unless an integer

}  // namespace speculators::jinja
