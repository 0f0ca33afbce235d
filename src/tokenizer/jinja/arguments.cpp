#include "tokenizer/jinja/arguments.h"

#include <algorithm>

#include "tokenizer/jinja/operators.h"

namespace speculators::jinja {

BoundArguments::BoundArguments(std::string function, const Arguments& arguments,
                               std::initializer_list<const char*> names, size_t required)
    : function_(std::move(function) + "()"), values_(names.size(), nullptr) {
  if (arguments.positional.size() > names.size()) {
    throw_type_error(function_ + " takes at most " + std::to_string(names.size()) + " arguments (" +
                     std::to_string(arguments.positional.size()) + " given)");
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.keywords) {
    const auto* found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw_type_error(function_ + " got an unexpected keyword argument '" + name + "'");
    const Value*& slot = values_[static_cast<size_t>(found - names.begin())];
    if (slot != nullptr) throw_type_error(function_ + " got multiple values for argument '" + name + "'");
    slot = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) {
      throw_type_error(function_ + " missing required argument '" + names.begin()[i] + "'");
    }
  }
}

Value BoundArguments::get_or(size_t parameter, Value otherwise) const {
  return values_[parameter] != nullptr ? *values_[parameter] : otherwise;
}

bool BoundArguments::get_bool(size_t parameter, bool otherwise) const {
  return values_[parameter] != nullptr ? is_truthy(*values_[parameter]) : otherwise;
}

Int BoundArguments::get_int(size_t parameter, Int otherwise) const {
  const Value* value = values_[parameter];
  if (value == nullptr) return otherwise;
  if (const auto* undefined = value->get_if<Undefined>()) throw_undefined(*undefined);
  const auto number = value->integer();
  if (!number) throw_type_error("'" + type_name(*value) + "' object cannot be interpreted as an integer");
  return *number;
}

const std::string& BoundArguments::get_string(size_t parameter) const {
  const Value& value = get(parameter);
  if (const std::string* text = value.string()) return *text;
  throw_type_error(function_ + " argument must be str, not " + type_name(value));
}

std::optional<std::string> BoundArguments::find_string(size_t parameter) const {
  const Value* value = values_[parameter];
  if (value == nullptr || value->is<None>()) return std::nullopt;
  return get_string(parameter);
}

}  // namespace speculators::jinja
