// map, select, reject and their attribute forms; default and attr. The selections are generators: what they would do is
// done when they are read, and they are truthy even when nothing passes.
#include <functional>

#include "tokenizer/jinja/arguments.h"
#include "tokenizer/jinja/attribute_path.h"
#include "tokenizer/jinja/filter_lists.h"
#include "tokenizer/jinja/objects.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/renderer.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

using Map = std::function<Value(const Value&)>;
using Test = std::function<bool(const Value&)>;

Arguments drop_first(Arguments arguments, size_t count) {
  arguments.positional.erase(arguments.positional.begin(), arguments.positional.begin() + static_cast<long>(count));
  return arguments;
}

Map make_map(Renderer& renderer, const Arguments& arguments) {
  if (!arguments.positional.empty()) {
    return [&renderer, name = arguments.positional[0], rest = drop_first(arguments, 1)](const Value& item) {
      return renderer.call_filter(name, item, rest);
    };
  }
  Value attribute, fallback;
  bool has_attribute = false;
  for (const auto& [name, value] : arguments.keywords) has_attribute = has_attribute || name == "attribute";
  if (!has_attribute) throw_runtime_error("map requires a filter argument");
  for (const auto& [name, value] : arguments.keywords) {
    if (name != "attribute" && name != "default")
      throw_runtime_error("Unexpected keyword argument " + quote_text(name));
    (name == "attribute" ? attribute : fallback) = value;
  }
  return [path = AttributePath(attribute), fallback](const Value& item) {
    return fallback.is<None>() ? path.get(item) : path.get_or(item, fallback);
  };
}

Value map_filter(Renderer& renderer, const Value& input, const Arguments& arguments) {
  struct State {
    IteratorPtr source;
    Map map;
  };
  return make_generator([&renderer, input, arguments, state = std::make_shared<State>()](Value& item) {
    if (state->source == nullptr) {
      if (!is_truthy(input)) return false;
      state->map = make_map(renderer, arguments);
      state->source = iterate(input);
    }
    Value source_item;
    if (!state->source->next(source_item)) return false;
    item = state->map(source_item);
    return true;
  });
}

Test make_test(Renderer& renderer, const Arguments& arguments, bool by_attribute) {
  if (by_attribute && arguments.positional.empty()) throw_runtime_error("Missing parameter for attribute name");
  const AttributePath path(by_attribute ? arguments.positional[0] : Value());
  const size_t name_at = by_attribute ? 1 : 0;
  if (arguments.positional.size() <= name_at) {
    return [path](const Value& item) { return is_truthy(path.get(item)); };
  }
  return [&renderer, path, name = arguments.positional[name_at], rest = drop_first(arguments, name_at + 1)](
             const Value& item) { return renderer.call_predicate(name, path.get(item), rest); };
}

template <bool Keeps, bool ByAttribute>
Value select_filter(Renderer& renderer, const Value& input, const Arguments& arguments) {
  struct State {
    IteratorPtr source;
    Test test;
  };
  return make_generator([&renderer, input, arguments, state = std::make_shared<State>()](Value& item) {
    if (state->source == nullptr) {
      if (!is_truthy(input)) return false;
      state->test = make_test(renderer, arguments, ByAttribute);
      state->source = iterate(input);
    }
    while (state->source->next(item)) {
      if (state->test(item) == Keeps) return true;
    }
    return false;
  });
}

Value default_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_default", arguments, {"default_value", "boolean"}, 0);
  const bool replaces = input.is<Undefined>() || (bound.get_bool(1, false) && !is_truthy(input));
  return replaces ? bound.get_or(0, Value("")) : input;
}

Value attr_filter(Renderer&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("do_attr", arguments, {"name"}, 1);
  const auto found = find_attribute(input, bound.get_string(0));
  return found ? *found : make_undefined_item(input, bound.get(0));
}

constexpr NamedFilter kFilters[] = {
    {"attr", attr_filter},
    {"d", default_filter},
    {"default", default_filter},
    {"map", map_filter},
    {"reject", select_filter<false, false>},
    {"rejectattr", select_filter<false, true>},
    {"select", select_filter<true, false>},
    {"selectattr", select_filter<true, true>},
};

}  // namespace

std::span<const NamedFilter> selection_filters() { return kFilters; }

}  // namespace speculators::jinja
