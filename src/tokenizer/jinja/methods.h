// The method tables behind find_method (objects.h): one per type, sorted by name.
#pragma once

#include <span>
#include <string_view>

#include "tokenizer/jinja/objects.h"

namespace speculators::jinja {

struct NamedMethod {
  std::string_view name;
  Method method;
};

std::span<const NamedMethod> string_methods();

}  // namespace speculators::jinja
