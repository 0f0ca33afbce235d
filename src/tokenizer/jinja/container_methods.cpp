// The methods of list, tuple, dict and float, and the table of what the sandbox hides.
#include <algorithm>
#include <cmath>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/stringify.h"

namespace speculators::jinja {
namespace {

template <DictView::Part Part>
Value view_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("dict", arguments, {}, 0);
  return Value(ObjectPtr(std::make_shared<DictView>(*self.get_if<DictPtr>(), Part)));
}

Value get_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("get", arguments, {"key", "default"}, 1);
  const Value* found = self.dict()->find(bound.get(0));
  return found != nullptr ? *found : bound.get_or(1, Value());
}

Value copy_method(const Value& self, Arguments& arguments) {
  const BoundArguments bound("copy", arguments, {}, 0);
  if (const List* items = self.sequence()) return Value(List(*items));
  return make_dict_value(Dict(*self.dict()));
}

Value fromkeys_method(const Value&, Arguments& arguments) {
  const BoundArguments bound("fromkeys", arguments, {"iterable", "value"}, 1);
  Dict dict;
  for (Value& key : to_list(bound.get(0))) dict.set(std::move(key), bound.get_or(1, Value()));
  return make_dict_value(std::move(dict));
}

Value count_items(const Value& self, Arguments& arguments) {
  const BoundArguments bound("count", arguments, {"value"}, 1);
  const List& items = *self.sequence();
  return Value(static_cast<int64_t>(
      std::count_if(items.begin(), items.end(), [&bound](const Value& item) { return equals(item, bound.get(0)); })));
}

Value index_of_item(const Value& self, Arguments& arguments) {
  const BoundArguments bound("index", arguments, {"value", "start", "stop"}, 1);
  const List& items = *self.sequence();
  const Int size = static_cast<Int>(items.size());
  const auto clamp = [size](Int at) { return std::clamp(at < 0 ? at + size : at, Int{0}, size); };
  const Int stop = clamp(bound.get_int(2, size));
  for (Int i = clamp(bound.get_int(1, 0)); i < stop; ++i) {
    if (equals(items[static_cast<size_t>(i)], bound.get(0))) return Value(i);
  }
  throw_value_error(self.is<Tuple>() ? "tuple.index(x): x not in tuple" : to_repr(bound.get(0)) + " is not in list");
}

Value is_integer_method(const Value& self, Arguments&) {
  const double value = *self.get_if<double>();
  return Value(std::isfinite(value) && value == std::floor(value));
}

constexpr NamedMethod kDictMethods[] = {
    {"copy", copy_method},
    {"fromkeys", fromkeys_method},
    {"get", get_method},
    {"items", view_method<DictView::Part::kItems>},
    {"keys", view_method<DictView::Part::kKeys>},
    {"values", view_method<DictView::Part::kValues>},
};
constexpr NamedMethod kListMethods[] = {{"copy", copy_method}, {"count", count_items}, {"index", index_of_item}};
constexpr NamedMethod kTupleMethods[] = {{"count", count_items}, {"index", index_of_item}};
constexpr NamedMethod kFloatMethods[] = {{"is_integer", is_integer_method}};

constexpr std::string_view kListChangers[] = {"append", "clear",  "extend",  "insert",
                                              "pop",    "remove", "reverse", "sort"};
constexpr std::string_view kDictChangers[] = {"clear", "pop", "popitem", "setdefault", "update"};

std::span<const NamedMethod> methods_of(const Value& owner) {
  if (owner.is<String>()) return string_methods();
  if (owner.is<DictPtr>()) return kDictMethods;
  if (owner.is<ListPtr>()) return kListMethods;
  if (owner.is<Tuple>()) return kTupleMethods;
  if (owner.is<double>()) return kFloatMethods;
  return {};
}

}  // namespace

Method find_method(const Value& owner, std::string_view name) {
  const auto methods = methods_of(owner);
  const auto found =
      std::lower_bound(methods.begin(), methods.end(), name,
                       [](const NamedMethod& row, std::string_view wanted) { return row.name < wanted; });
  return found != methods.end() && found->name == name ? found->method : nullptr;
}

bool changes_its_owner(const Value& owner, std::string_view name) {
  if (owner.is<ListPtr>()) return std::ranges::count(kListChangers, name) != 0;
  return owner.is<DictPtr>() && std::ranges::count(kDictChangers, name) != 0;
}

}  // namespace speculators::jinja
