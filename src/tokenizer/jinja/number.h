// Python's numbers as text: repr of int and float, int(text, base), float(text).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

std::string format_int(Int value, int base = 10);               // base 2, 8, 10, 16; lower case, no prefix
std::string format_float(double value);                         // repr: the shortest text that reads back the same
std::optional<Int> parse_int(std::string_view text, int base);  // as int(text, base): blanks, sign, underscores, prefix
std::optional<double> parse_float(std::string_view text);       // as float(text): blanks, underscores, inf, nan
std::optional<Int> truncate_to_int(double value);               // nullopt: not finite; throws beyond 128 bits

}  // namespace speculators::jinja
