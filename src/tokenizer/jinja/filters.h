// The filters by name: Jinja2's own, with `tojson` as transformers overrides it. Missing on purpose: pprint, random,
// striptags, urlize, wordwrap, xmlattr.
#pragma once

#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

Filter find_filter(std::string_view name);  // null: no such filter

}  // namespace speculators::jinja
