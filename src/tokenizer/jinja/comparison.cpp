// Truth, equality, order and membership.
#include <algorithm>

#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/operators.h"

namespace speculators::jinja {
namespace {

// long double holds every double and every int that matters for a comparison with one.
std::optional<long double> as_number(const Value& value) {
  if (const auto* number = value.get_if<double>()) return *number;
  if (const auto number = value.integer()) return static_cast<long double>(*number);
  return std::nullopt;
}

bool equal_lists(const List& left, const List& right) {
  return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin(), equals);
}

bool equal_dicts(const Dict& left, const Dict& right) {
  if (left.size() != right.size()) return false;
  return std::all_of(left.entries().begin(), left.entries().end(), [&right](const Dict::Entry& entry) {
    const Value* other = right.find(entry.first);
    return other != nullptr && equals(entry.second, *other);
  });
}

bool equal_objects(const Value& left, const Value& right) {
  if (left.object() == right.object()) return true;
  auto* a = left.object_as<RangeObject>();
  auto* b = right.object_as<RangeObject>();
  if (a != nullptr && b != nullptr) return equal_lists(to_list(left), to_list(right));
  auto* view_a = left.object_as<DictView>();
  auto* view_b = right.object_as<DictView>();
  if (view_a == nullptr || view_b == nullptr || view_a->part != view_b->part) return false;
  // Views of keys and items compare as sets; views of values never do.
  if (view_a->part == DictView::Part::kValues || view_a->dict->size() != view_b->dict->size()) return false;
  const List others = to_list(right);
  const List items = to_list(left);
  return std::all_of(items.begin(), items.end(), [&others](const Value& item) {
    return std::any_of(others.begin(), others.end(), [&item](const Value& other) { return equals(item, other); });
  });
}

std::string symbol(CompareOperator op) {
  switch (op) {
    case CompareOperator::kLess:
      return "<";
    case CompareOperator::kLessEqual:
      return "<=";
    case CompareOperator::kGreater:
      return ">";
    default:
      return ">=";
  }
}

template <class T>
bool holds(CompareOperator op, const T& left, const T& right) {
  switch (op) {
    case CompareOperator::kLess:
      return left < right;
    case CompareOperator::kLessEqual:
      return left <= right;
    case CompareOperator::kGreater:
      return left > right;
    default:
      return left >= right;
  }
}

bool compare_lists(CompareOperator op, const List& left, const List& right) {
  const size_t common = std::min(left.size(), right.size());
  for (size_t i = 0; i < common; ++i) {
    if (!equals(left[i], right[i])) return compare(op, left[i], right[i]);
  }
  return holds(op, left.size(), right.size());
}

bool contains_by_iteration(const Value& container, const Value& item) {
  const IteratorPtr iterator = iterate(container);
  for (Value candidate; iterator->next(candidate);) {
    if (equals(candidate, item)) return true;
  }
  return false;
}

}  // namespace

bool is_truthy(const Value& value) {
  struct Truth {
    bool operator()(None) const { return false; }
    bool operator()(Missing) const { return false; }
    bool operator()(const Undefined&) const { return false; }
    bool operator()(bool value) const { return value; }
    bool operator()(Int value) const { return value != 0; }
    bool operator()(double value) const { return value != 0; }
    bool operator()(const String& text) const { return !text.text->empty(); }
    bool operator()(const ListPtr& list) const { return !list->empty(); }
    bool operator()(const Tuple& tuple) const { return !tuple.items->empty(); }
    bool operator()(const DictPtr& dict) const { return dict->size() != 0; }
    bool operator()(const ObjectPtr& object) const { return object->is_truthy(); }
  };
  return std::visit(Truth{}, value.data());
}

bool equals(const Value& left, const Value& right) {
  if (const std::string* text = left.string()) {
    const std::string* other = right.string();
    return other != nullptr && *text == *other;
  }
  const auto a = left.integer();
  const auto b = right.integer();
  if (a && b) return *a == *b;
  const auto x = as_number(left);
  const auto y = as_number(right);
  if (x && y) return *x == *y;
  if (left.data().index() != right.data().index()) return false;
  if (left.is<None>() || left.is<Undefined>()) return true;  // any two undefined values are equal
  if (left.dict() != nullptr) return equal_dicts(*left.dict(), *right.dict());
  if (left.sequence() != nullptr) return equal_lists(*left.sequence(), *right.sequence());
  return left.object() != nullptr && equal_objects(left, right);
}

bool compare(CompareOperator op, const Value& left, const Value& right) {
  if (const auto* undefined = left.get_if<Undefined>()) throw_undefined(*undefined);
  if (const auto* undefined = right.get_if<Undefined>()) throw_undefined(*undefined);
  const auto a = left.integer();
  const auto b = right.integer();
  if (a && b) return holds(op, *a, *b);
  const auto x = as_number(left);
  const auto y = as_number(right);
  if (x && y) return holds(op, *x, *y);
  // Code points in UTF-8 sort as their bytes do.
  if (left.string() != nullptr && right.string() != nullptr) return holds(op, *left.string(), *right.string());
  if (left.sequence() != nullptr && left.data().index() == right.data().index()) {
    return compare_lists(op, *left.sequence(), *right.sequence());
  }
  throw_type_error("'" + symbol(op) + "' not supported between instances of '" + type_name(left) + "' and '" +
                   type_name(right) + "'");
}

bool contains(const Value& container, const Value& item) {
  if (const std::string* text = container.string()) {
    const std::string* part = item.string();
    if (part == nullptr) {
      throw_type_error("'in <string>' requires string as left operand, not " + type_name(item));
    }
    return text->find(*part) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return dict->find(item) != nullptr;
  if (const auto* range = container.object_as<RangeObject>()) return range->contains(item);
  if (const List* items = container.sequence()) {
    return std::any_of(items->begin(), items->end(), [&item](const Value& other) { return equals(other, item); });
  }
  if (!is_iterable(container)) throw_type_error("argument of type '" + type_name(container) + "' is not iterable");
  return contains_by_iteration(container, item);
}

bool is_same(const Value& left, const Value& right) {
  if (left.data().index() != right.data().index()) return false;
  if (const auto* a = left.get_if<ListPtr>()) return *a == *right.get_if<ListPtr>();
  if (const auto* a = left.get_if<DictPtr>()) return *a == *right.get_if<DictPtr>();
  if (const auto* a = left.get_if<Tuple>()) return a->items == right.get_if<Tuple>()->items;
  if (const auto* a = left.get_if<Undefined>()) return a->cause == right.get_if<Undefined>()->cause;
  if (left.object() != nullptr) return left.object() == right.object();
  return equals(left, right);
}

}  // namespace speculators::jinja
