// The tests behind `is`, by name; `select("==", 1)` finds operators here too.
#pragma once

#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

Predicate find_predicate(std::string_view name);  // null: no such test

}  // namespace speculators::jinja
