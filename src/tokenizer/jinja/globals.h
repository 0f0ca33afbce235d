// What every template can name without being given it: range, dict, namespace, cycler, joiner, raise_exception,
// strftime_now.
#pragma once

#include <string>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

Value find_global(const std::string& name);  // Missing when there is none

}  // namespace speculators::jinja
