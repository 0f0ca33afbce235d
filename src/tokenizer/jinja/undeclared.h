// Which of the special names (loop, caller, kwargs, varargs) a body reads before anything assigns them.
#pragma once

#include <set>
#include <string>

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

std::set<std::string> find_undeclared(Body& body, std::set<std::string> names);

}  // namespace speculators::jinja
