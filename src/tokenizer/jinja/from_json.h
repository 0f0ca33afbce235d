// JSON -> template values, as Python's json module would hand them to a template.
#pragma once

#include "base/json.h"
#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

// Throws TemplateError for data nested more than 400 deep.
Value from_json(const Json& json);

}  // namespace speculators::jinja
