// Attributes, subscripts and slices under the rules of the sandbox.
#include <algorithm>

#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

bool is_private(std::string_view name) { return name.starts_with("__") && name.ends_with("__") && name.size() > 4; }

std::optional<Value> item_at(const Value& owner, Int index) {
  if (Object* object = owner.object()) return object->item(index);
  if (const List* items = owner.sequence()) {
    const Int size = static_cast<Int>(items->size());
    if (index < 0) index += size;
    return index >= 0 && index < size ? std::optional((*items)[static_cast<size_t>(index)]) : std::nullopt;
  }
  const std::string* text = owner.string();
  if (text == nullptr) return std::nullopt;
  const std::u32string points = to_code_points(*text);
  const Int size = static_cast<Int>(points.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  return Value(to_utf8(points.substr(static_cast<size_t>(index), 1)));
}

// What owner[item] gives, or nullopt where Python raises TypeError or LookupError.
std::optional<Value> find_item(const Value& owner, const Value& item) {
  if (const Dict* dict = owner.dict()) {
    const bool hashable = !item.is<ListPtr>() && !item.is<DictPtr>();
    const Value* found = hashable ? dict->find(item) : nullptr;
    return found != nullptr ? std::optional(*found) : std::nullopt;
  }
  const auto index = item.integer();
  return index ? item_at(owner, *index) : std::nullopt;
}

// Python's slice.indices for a sequence of `size` items.
struct Span {
  Int start, stop, step;
};
Span resolve(const SliceBounds& bounds, Int size) {
  const Int step = bounds.step.value_or(1);
  if (step == 0) throw_value_error("slice step cannot be zero");
  const Int lowest = step < 0 ? -1 : 0;
  const Int highest = step < 0 ? size - 1 : size;
  const auto clamp = [&](std::optional<Int> bound, Int otherwise) {
    if (!bound) return otherwise;
    return std::clamp(*bound < 0 ? *bound + size : *bound, lowest, highest);
  };
  return {clamp(bounds.start, step < 0 ? highest : lowest), clamp(bounds.stop, step < 0 ? lowest : highest), step};
}

template <class Sequence>
Sequence take(const Sequence& items, const SliceBounds& bounds) {
  const Span span = resolve(bounds, static_cast<Int>(items.size()));
  Sequence out;
  for (Int i = span.start; span.step > 0 ? i < span.stop : i > span.stop; i += span.step) {
    out.push_back(items[static_cast<size_t>(i)]);
  }
  return out;
}

}  // namespace

std::optional<Value> find_attribute(const Value& owner, std::string_view name) {
  if (const auto* undefined = owner.get_if<Undefined>()) throw_undefined(*undefined);
  if (Object* object = owner.object()) {
    if (auto found = object->attribute(name)) return name.starts_with('_') ? make_unsafe(owner, name) : *found;
  }
  if (is_private(name) || changes_its_owner(owner, name)) return make_unsafe(owner, name);
  const Method method = find_method(owner, name);
  if (method == nullptr) return std::nullopt;
  return Value(ObjectPtr(std::make_shared<BoundMethod>(owner, std::string(name), method)));
}

Value get_attribute(const Value& owner, std::string_view name) {
  if (auto found = find_attribute(owner, name)) return *found;
  if (const Dict* dict = owner.dict()) {
    if (const Value* item = dict->find(name)) return *item;
  }
  return make_undefined_item(owner, Value(name));
}

Value get_item(const Value& owner, const Value& item) {
  if (const auto* undefined = owner.get_if<Undefined>()) throw_undefined(*undefined);
  if (auto found = find_item(owner, item)) return *found;
  if (const std::string* name = item.string()) {
    if (auto found = find_attribute(owner, *name)) return *found;
  }
  return make_undefined_item(owner, item);
}

std::optional<Int> slice_bound(const Value& value) {
  if (value.is<None>()) return std::nullopt;
  if (const auto number = value.integer()) return std::clamp(*number, -(Int{1} << 100), Int{1} << 100);
  throw_type_error("slice indices must be integers or None or have an __index__ method");
}

Value get_slice(const Value& owner, const SliceBounds& bounds) {
  if (const auto* undefined = owner.get_if<Undefined>()) throw_undefined(*undefined);
  if (const auto* tuple = owner.get_if<Tuple>()) return make_tuple_value(take(*tuple->items, bounds));
  if (const List* items = owner.sequence()) return Value(take(*items, bounds));
  if (const auto* text = owner.get_if<String>()) {
    if (is_ascii(*text->text)) return Value(take(*text->text, bounds));
    return Value(to_utf8(take(to_code_points(*text->text), bounds)));
  }
  if (auto* range = owner.object_as<RangeObject>()) {
    const Span span = resolve(bounds, static_cast<Int>(*range->length()));
    return Value(ObjectPtr(std::make_shared<RangeObject>(
        range->start + span.start * range->step, range->start + span.stop * range->step, span.step * range->step)));
  }
  if (owner.dict() != nullptr) throw_type_error("unhashable type: 'slice'");
  throw_type_error("'" + type_name(owner) + "' object is not subscriptable");
}

}  // namespace speculators::jinja
