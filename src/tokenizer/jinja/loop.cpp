#include "tokenizer/jinja/loop.h"

#include <algorithm>

#include "tokenizer/jinja/operators.h"

namespace speculators::jinja {
namespace {

struct BufferedIterator : Iterator {
  explicit BufferedIterator(List items) : items(std::move(items)) {}
  bool next(Value& item) override {
    if (position == items.size()) return false;
    item = items[position++];
    return true;
  }
  List items;
  size_t position = 0;
};

// loop.cycle and loop.changed.
struct LoopMethod : Object {
  LoopMethod(std::shared_ptr<LoopObject> loop, bool is_cycle) : loop(std::move(loop)), is_cycle(is_cycle) {}
  std::string type_name() const override { return "method"; }
  std::string repr() const override {
    return std::string("<bound method LoopContext.") + (is_cycle ? "cycle>" : "changed>");
  }
  bool is_callable() const override { return true; }
  Value call(Renderer&, Arguments arguments) override {
    if (!arguments.keywords.empty()) throw_type_error("loop methods take no keyword arguments");
    if (!is_cycle) return Value(loop->changed(std::move(arguments.positional)));
    if (arguments.positional.empty()) throw_type_error("no items for cycling given");
    return arguments.positional[static_cast<size_t>(loop->index) % arguments.positional.size()];
  }
  std::shared_ptr<LoopObject> loop;
  bool is_cycle;
};

}  // namespace

bool LoopObject::next(Value& item) {
  if (upcoming) {
    item = std::move(*upcoming);
    upcoming.reset();
  } else if (!source->next(item)) {
    return false;
  }
  ++index;
  previous = std::move(current);
  current = item;
  return true;
}

bool LoopObject::has_next() {
  if (!upcoming) {
    Value item;
    if (!source->next(item)) return false;
    upcoming = std::move(item);
  }
  return true;
}

std::optional<size_t> LoopObject::length() {
  if (!known_length) {
    // A generator: take what is left to count it, and go on from there.
    List rest;
    for (Value item; source->next(item);) rest.push_back(std::move(item));
    known_length = rest.size() + static_cast<size_t>(index + 1) + (upcoming ? 1 : 0);
    source = std::make_unique<BufferedIterator>(std::move(rest));
  }
  return known_length;
}

bool LoopObject::changed(List values) {
  const bool same = last_changed && last_changed->size() == values.size() &&
                    std::equal(values.begin(), values.end(), last_changed->begin(), equals);
  if (!same) last_changed = std::move(values);
  return !same;
}

std::optional<Value> LoopObject::attribute(std::string_view name) {
  if (name == "index0") return Value(index);
  if (name == "index") return Value(index + 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(!has_next());
  if (name == "length") return Value(*length());
  if (name == "revindex") return Value(static_cast<int64_t>(*length()) - index);
  if (name == "revindex0") return Value(static_cast<int64_t>(*length()) - index - 1);
  if (name == "depth") return Value(depth + 1);
  if (name == "depth0") return Value(depth);
  if (name == "previtem") return index == 0 ? make_undefined_hint("there is no previous item") : previous;
  if (name == "nextitem") return has_next() ? *upcoming : make_undefined_hint("there is no next item");
  if (name == "cycle" || name == "changed") {
    return Value(ObjectPtr(std::make_shared<LoopMethod>(shared_from_this(), name == "cycle")));
  }
  return std::nullopt;
}

Value LoopObject::call(Renderer& renderer, Arguments arguments) {
  if (!node.is_recursive) {
    throw_type_error("The loop must have the 'recursive' marker to be called recursively.");
  }
  if (arguments.positional.size() != 1) throw_type_error("loop() takes one argument, the items of the inner loop");
  return Value(renderer.run_recursive_loop(node, arguments.positional[0], outer, depth + 1));
}

}  // namespace speculators::jinja
