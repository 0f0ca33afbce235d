// Python's two ways to format: text % values, and text.format(...).
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

// `format` % `values`: a tuple gives one value per conversion, a dict serves %(name)s, anything else is one value.
Value format_printf(const Value& format, const Value& values);

// format.format(*positional, **keywords), attributes and subscripts in fields included.
std::string format_fields(std::string_view format, const Arguments& arguments);

// format(value, spec): "[[fill]align][sign][#][0][width][,][.precision][type]".
std::string format_with_spec(const Value& value, std::string_view spec);

}  // namespace speculators::jinja
