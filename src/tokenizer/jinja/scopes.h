// Which variable a name means. Jinja decides this from the text alone: blocks such as `for`, `macro` and `set` open
// scopes; a name that a scope assigns is its own, started from the outer one where there is one; a name assigned
// nowhere comes from the render variables. Errors for unknown filters and tests are found here too.
#pragma once

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

// Fills in the slots of all names and scopes of `parsed`. Throws TemplateError(kSyntax).
void bind_names(Template& parsed);

}  // namespace speculators::jinja
