#include "tokenizer/jinja/objects.h"

#include <cmath>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/stringify.h"

namespace speculators::jinja {
namespace {

struct RangeIterator : Iterator {
  explicit RangeIterator(const RangeObject& range) : value(range.start), step(range.step), left(0) {
    left = const_cast<RangeObject&>(range).length().value();
  }
  bool next(Value& item) override {
    if (left == 0) return false;
    item = Value(value);
    value += step;
    --left;
    return true;
  }
  Int value, step;
  size_t left;
};

struct SharedIterator : Iterator {
  explicit SharedIterator(std::shared_ptr<Iterator> inner) : inner(std::move(inner)) {}
  bool next(Value& item) override { return inner->next(item); }
  std::shared_ptr<Iterator> inner;
};

struct FunctionIterator : Iterator {
  explicit FunctionIterator(std::function<bool(Value&)> function) : function(std::move(function)) {}
  bool next(Value& item) override {
    if (!done) done = !function(item);
    return !done;
  }
  std::function<bool(Value&)> function;
  bool done = false;
};

struct ViewIterator : Iterator {
  ViewIterator(DictPtr dict, DictView::Part part) : view(std::move(dict), part) {}
  bool next(Value& item) override {
    if (position == view.dict->size()) return false;
    item = view.at(position++);
    return true;
  }
  DictView view;
  size_t position = 0;
};

}  // namespace

std::string RangeObject::repr() const {
  std::string out = "range(" + to_text(Value(start)) + ", " + to_text(Value(stop));
  if (step != 1) out += ", " + to_text(Value(step));
  return out + ")";
}

std::optional<size_t> RangeObject::length() {
  if (step > 0) return stop > start ? static_cast<size_t>((stop - start + step - 1) / step) : 0;
  return stop < start ? static_cast<size_t>((start - stop - step - 1) / -step) : 0;
}

std::optional<Value> RangeObject::item(Int index) {
  const Int size = static_cast<Int>(*length());
  if (index < 0) index += size;
  return index >= 0 && index < size ? std::optional(Value(start + index * step)) : std::nullopt;
}

IteratorPtr RangeObject::iterate() { return std::make_unique<RangeIterator>(*this); }

bool RangeObject::contains(const Value& item) const {
  std::optional<Int> number = item.integer();
  if (const auto* real = item.get_if<double>(); real != nullptr && *real == std::floor(*real)) {
    number = truncate_to_int(*real);
  }
  if (!number) return false;
  const bool inside = step > 0 ? *number >= start && *number < stop : *number <= start && *number > stop;
  return inside && (*number - start) % step == 0;
}

IteratorPtr IteratorObject::iterate() { return std::make_unique<SharedIterator>(iterator); }

Value make_generator(IteratorPtr iterator) {
  return Value(ObjectPtr(std::make_shared<IteratorObject>("generator", "", std::move(iterator))));
}

Value make_generator(std::function<bool(Value&)> next) {
  return make_generator(std::make_unique<FunctionIterator>(std::move(next)));
}

std::string DictView::type_name() const {
  return part == Part::kKeys ? "dict_keys" : part == Part::kValues ? "dict_values" : "dict_items";
}

std::string DictView::repr() const {
  List items;
  for (size_t i = 0; i < dict->size(); ++i) items.push_back(at(i));
  return type_name() + "(" + to_repr(Value(std::move(items))) + ")";
}

IteratorPtr DictView::iterate() { return std::make_unique<ViewIterator>(dict, part); }

Value DictView::at(size_t index) const {
  const auto& [key, value] = dict->entries()[index];
  if (part == Part::kKeys) return key;
  if (part == Part::kValues) return value;
  return make_tuple_value({key, value});
}

std::string BoundMethod::repr() const {
  return "<built-in method " + name + " of " + speculators::jinja::type_name(self) + " object>";
}

std::string Namespace::repr() const {
  std::string out = "<Namespace {";
  for (const auto& [name, value] : attributes.entries()) {
    if (out.back() != '{') out += ", ";
    // A namespace may hold itself; Python would print the object, we print its type.
    out += to_repr(name) + ": " + (value.object_as<Namespace>() != nullptr ? "<Namespace>" : to_repr(value));
  }
  return out + "}>";
}

std::optional<Value> Namespace::attribute(std::string_view name) {
  const Value* found = attributes.find(name);
  return found != nullptr ? std::optional(*found) : std::nullopt;
}

}  // namespace speculators::jinja
