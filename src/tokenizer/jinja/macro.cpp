#include "tokenizer/jinja/macro.h"

#include <algorithm>

#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

// Takes the keyword out of `arguments`.
std::optional<Value> take_keyword(Arguments& arguments, std::string_view name) {
  const auto found = std::ranges::find(arguments.keywords, name, [](const auto& keyword) { return keyword.first; });
  if (found == arguments.keywords.end()) return std::nullopt;
  Value value = std::move(found->second);
  arguments.keywords.erase(found);
  return value;
}

std::string describe(const MacroDefinition& definition) {
  return "macro " + (definition.name.empty() ? std::string("None") : quote_text(definition.name));
}

}  // namespace

std::string Macro::repr() const {
  return "<Macro " + (definition.name.empty() ? "anonymous" : quote_text(definition.name)) + ">";
}

std::optional<Value> Macro::attribute(std::string_view name) {
  if (name == "name") return definition.name.empty() ? Value() : Value(definition.name);
  if (name == "catch_kwargs") return Value(definition.kwargs_slot >= 0);
  if (name == "catch_varargs") return Value(definition.varargs_slot >= 0);
  if (name == "caller") return Value(definition.caller_slot >= 0);
  if (name != "arguments") return std::nullopt;
  List names;
  for (const auto& parameter : definition.parameters) names.emplace_back(parameter.name.name);
  return make_tuple_value(std::move(names));
}

Value Macro::call(Renderer& renderer, Arguments arguments) {
  return with_frame(renderer, definition.scope, &closure, [&](Frame& frame) {
    bind(frame, std::move(arguments));
    return Value(renderer.run_macro(definition, closure, frame));
  });
}

void Macro::bind(Frame& frame, Arguments arguments) const {
  const size_t count = definition.parameters.size();
  for (size_t i = 0; i < count; ++i) {
    const Name& name = definition.parameters[i].name;
    Value& slot = frame.slots[static_cast<size_t>(name.slot)];
    if (i < arguments.positional.size()) {
      slot = arguments.positional[i];
    } else if (auto value = take_keyword(arguments, name.name)) {
      slot = std::move(*value);
    }
  }
  if (definition.caller_slot >= 0) {
    auto caller = take_keyword(arguments, "caller");
    const bool is_given = caller && !caller->is<None>();
    frame.slots[static_cast<size_t>(definition.caller_slot)] =
        is_given ? std::move(*caller) : make_undefined_hint("No caller defined");
  }
  if (definition.kwargs_slot >= 0) {
    Dict rest;
    for (auto& [name, value] : arguments.keywords) rest.set(Value(name), std::move(value));
    frame.slots[static_cast<size_t>(definition.kwargs_slot)] = make_dict_value(std::move(rest));
  } else if (!arguments.keywords.empty()) {
    const bool caller = std::ranges::count(arguments.keywords, "caller", [](const auto& k) { return k.first; }) != 0;
    throw_type_error(describe(definition) +
                     (caller
                          ? " was invoked with two values for the special caller argument. This is most likely a bug."
                          : " takes no keyword argument " + quote_text(arguments.keywords[0].first)));
  }
  if (definition.varargs_slot >= 0) {
    List rest;
    for (size_t i = count; i < arguments.positional.size(); ++i) rest.push_back(arguments.positional[i]);
    frame.slots[static_cast<size_t>(definition.varargs_slot)] = make_tuple_value(std::move(rest));
  } else if (arguments.positional.size() > count) {
    throw_type_error(describe(definition) + " takes not more than " + std::to_string(count) + " argument(s)");
  }
}

}  // namespace speculators::jinja
