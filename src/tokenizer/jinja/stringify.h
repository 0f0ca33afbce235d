// str() and repr() of any value, as Python writes them.
#pragma once

#include <string>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

std::string to_text(const Value& value);  // what `{{ value }}` prints; undefined prints nothing
std::string to_repr(const Value& value);
void append_text(std::string& out, const Value& value);  // throws when `out` grows beyond the limit

}  // namespace speculators::jinja
