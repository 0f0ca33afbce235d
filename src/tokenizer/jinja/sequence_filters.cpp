// Filters on lists, dicts and other iterables as a whole.
#include <algorithm>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/attribute_path.h"
#include "tokenizer/jinja/filter_lists.h"
#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/stringify.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

// A group of `groupby`: a pair that also has names for its halves.
struct GroupObject : Object {
  GroupObject(Value grouper, Value list) : grouper(std::move(grouper)), list(std::move(list)) {}
  std::string type_name() const override { return "_GroupTuple"; }
  std::string repr() const override { return to_repr(make_tuple_value({grouper, list})); }
  std::optional<Value> attribute(std::string_view name) override {
    if (name == "grouper") return grouper;
    return name == "list" ? std::optional(list) : std::nullopt;
  }
  std::optional<Value> item(Int index) override {
    if (index < 0) index += 2;
    return index == 0 ? std::optional(grouper) : index == 1 ? std::optional(list) : std::nullopt;
  }
  bool has_items() const override { return true; }
  std::optional<size_t> length() override { return 2; }
  IteratorPtr iterate() override { return speculators::jinja::iterate(make_tuple_value({grouper, list})); }
  Value grouper, list;
};

Value length_filter(Renderer&, const Value& input, const Arguments&) { return Value(get_length(input)); }

Value list_filter(Renderer&, const Value& input, const Arguments&) { return Value(to_list(input)); }

Value first_filter(Renderer&, const Value& input, const Arguments&) {
  Value item;
  return iterate(input)->next(item) ? item : make_undefined_hint("No first item, sequence was empty.");
}

bool is_reversible(const Value& value) {
  if (value.is<ObjectPtr>()) return value.object()->has_items() || value.object_as<DictView>() != nullptr;
  return find_length(value).has_value();
}

Value last_filter(Renderer&, const Value& input, const Arguments&) {
  if (!is_reversible(input)) throw_type_error("'" + type_name(input) + "' object is not reversible");
  const List items = to_list(input);
  return items.empty() ? make_undefined_hint("No last item, sequence was empty.") : items.back();
}

Value reverse_filter(Renderer&, const Value& input, const Arguments&) {
  if (const std::string* text = input.string()) {
    std::u32string points = to_code_points(*text);
    std::reverse(points.begin(), points.end());
    return Value(to_utf8(points));
  }
  if (!is_iterable(input)) throw_runtime_error("argument must be iterable");
  List items = to_list(input);
  std::reverse(items.begin(), items.end());
  if (!is_reversible(input)) return Value(std::move(items));
  const std::string type = input.is<ListPtr>() ? "list_reverseiterator" : "reversed";
  return Value(ObjectPtr(std::make_shared<IteratorObject>(type, "", iterate(Value(std::move(items))))));
}

Value items_filter(Renderer&, const Value& input, const Arguments&) {
  // A generator: a wrong input is an error only once it is read.
  return make_generator([input, position = size_t{0}](Value& item) mutable {
    if (input.is<Undefined>()) return false;
    const Dict* dict = input.dict();
    if (dict == nullptr) throw_type_error("Can only get item pairs from a mapping.");
    if (position == dict->size()) return false;
    const auto& [key, value] = dict->entries()[position++];
    item = make_tuple_value({key, value});
    return true;
  });
}

List map_keys(const List& items, const AttributePath& path, bool case_sensitive) {
  List keys;
  for (const Value& item : items) keys.push_back(case_sensitive ? path.get(item) : ignore_case(path.get(item)));
  return keys;
}

Value sort_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_sort", arguments, {"reverse", "case_sensitive", "attribute"}, 0);
  const bool case_sensitive = bound.get_bool(1, false);
  const Value attribute = bound.get_or(2, Value());
  std::vector<AttributePath> paths;  // "a,b" sorts by a, then by b
  if (const std::string* text = attribute.string()) {
    for (std::string& part : split(*text, ",", -1)) paths.emplace_back(Value(std::move(part)));
  } else {
    paths.emplace_back(attribute);
  }
  const List items = to_list(input);
  List keys;
  for (const Value& item : items) {
    List key;
    for (const auto& path : paths) key.push_back(case_sensitive ? path.get(item) : ignore_case(path.get(item)));
    keys.emplace_back(std::move(key));
  }
  return Value(sort_by(items, keys, bound.get_bool(0, false)));
}

Value dictsort_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_dictsort", arguments, {"case_sensitive", "by", "reverse"}, 0);
  const std::string by = bound.find(1) != nullptr ? to_text(bound.get(1)) : "key";
  if (by != "key" && by != "value") throw_runtime_error("You can only sort by either \"key\" or \"value\"");
  if (const auto* undefined = input.get_if<Undefined>()) throw_undefined(*undefined);
  const Dict* dict = input.dict();
  if (dict == nullptr) throw_type_error("'" + type_name(input) + "' object has no attribute 'items'");
  List pairs, keys;
  for (const auto& [key, value] : dict->entries()) {
    pairs.push_back(make_tuple_value({key, value}));
    const Value& chosen = by == "key" ? key : value;
    keys.push_back(bound.get_bool(0, false) ? chosen : ignore_case(chosen));
  }
  return Value(sort_by(pairs, keys, bound.get_bool(2, false)));
}

Value unique_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_unique", arguments, {"case_sensitive", "attribute"}, 0);
  const AttributePath path(bound.get_or(1, Value()));
  const bool case_sensitive = bound.get_bool(0, false);
  const std::shared_ptr<Iterator> source = iterate(input);
  return make_generator([=, seen = Dict()](Value& item) mutable {
    while (source->next(item)) {
      const Value key = case_sensitive ? path.get(item) : ignore_case(path.get(item));
      if (seen.find(key) != nullptr) continue;
      seen.set(key, Value());
      return true;
    }
    return false;
  });
}

template <CompareOperator Better>
Value extreme_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_min", arguments, {"case_sensitive", "attribute"}, 0);
  const List items = to_list(input);
  if (items.empty()) return make_undefined_hint("No aggregated item, sequence was empty.");
  const List keys = map_keys(items, AttributePath(bound.get_or(1, Value())), bound.get_bool(0, false));
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    if (compare(Better, keys[i], keys[best])) best = i;
  }
  return items[best];
}

Value groupby_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(bound.get(0));
  const Value fallback = bound.get_or(1, Value());
  const bool case_sensitive = bound.get_bool(2, false);
  const auto key_of = [&](const Value& item) {
    return fallback.is<None>() ? path.get(item) : path.get_or(item, fallback);
  };
  const auto folded = [&](const Value& item) { return case_sensitive ? key_of(item) : ignore_case(key_of(item)); };
  const List items = to_list(input);
  List keys;
  for (const Value& item : items) keys.push_back(folded(item));
  List groups;
  List group;
  const auto close = [&] {
    if (group.empty()) return;
    Value key = key_of(group.front());
    groups.emplace_back(ObjectPtr(std::make_shared<GroupObject>(std::move(key), Value(std::move(group)))));
    group.clear();
  };
  for (const Value& item : sort_by(items, keys, /*reverse=*/false)) {
    if (!group.empty() && !equals(folded(group.front()), folded(item))) close();
    group.push_back(item);
  }
  close();
  return Value(std::move(groups));
}

Value batch_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_batch", arguments, {"linecount", "fill_with"}, 1);
  const Int size = bound.get_int(0, 0);
  const Value fill = bound.get_or(1, Value());
  if (!fill.is<None>()) check_list_size(static_cast<size_t>(std::clamp(size, Int{0}, Int{kMaxListItems} + 1)));
  const std::shared_ptr<Iterator> source = iterate(input);
  return make_generator([=](Value& batch) {
    List items;
    for (Value item; (size <= 0 || static_cast<Int>(items.size()) < size) && source->next(item);) items.push_back(item);
    if (items.empty()) return false;
    if (!fill.is<None>()) items.resize(std::max(items.size(), static_cast<size_t>(std::max(size, Int{0}))), fill);
    batch = Value(std::move(items));
    return true;
  });
}

Value slice_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_slice", arguments, {"slices", "fill_with"}, 1);
  const Int slices = bound.get_int(0, 0);
  if (slices == 0) throw_value_error("integer division or modulo by zero");
  const Value fill = bound.get_or(1, Value());
  const List items = to_list(input);
  const Int size = static_cast<Int>(items.size());
  List columns;
  Int start = 0;
  for (Int i = 0; i < slices; ++i) {
    const bool has_extra = i < size % slices;
    const Int end = start + size / slices + (has_extra ? 1 : 0);
    List column(items.begin() + static_cast<std::ptrdiff_t>(start), items.begin() + static_cast<std::ptrdiff_t>(end));
    if (!fill.is<None>() && !has_extra) column.push_back(fill);
    columns.emplace_back(std::move(column));
    check_list_size(columns.size());
    start = end;
  }
  return make_generator(iterate(Value(std::move(columns))));
}

constexpr NamedFilter kFilters[] = {
    {"batch", batch_filter},
    {"count", length_filter},
    {"dictsort", dictsort_filter},
    {"first", first_filter},
    {"groupby", groupby_filter},
    {"items", items_filter},
    {"last", last_filter},
    {"length", length_filter},
    {"list", list_filter},
    {"max", extreme_filter<CompareOperator::kGreater>},
    {"min", extreme_filter<CompareOperator::kLess>},
    {"reverse", reverse_filter},
    {"slice", slice_filter},
    {"sort", sort_filter},
    {"unique", unique_filter},
};

}  // namespace

std::span<const NamedFilter> sequence_filters() { return kFilters; }

}  // namespace speculators::jinja
