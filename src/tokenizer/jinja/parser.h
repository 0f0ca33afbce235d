// Tokens -> Template. The grammar and its precedences are Jinja2's; block, extends, include, import, autoescape and
// trans are refused by name, since chat templates are single files.
#pragma once

#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

// Throws TemplateError(kSyntax) with the line. The result is bound (scopes.h) and ready to render.
Template parse_template(std::string_view source);

}  // namespace speculators::jinja
