// String literals in template expressions, with Python's escapes.
#pragma once

#include <string>
#include <string_view>

namespace speculators::jinja {

// `body`: what stands between the quotes. Throws TemplateError(kSyntax) for broken escapes.
std::string unescape_literal(std::string_view body);

}  // namespace speculators::jinja
