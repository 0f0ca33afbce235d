// Text <-> the typed field of an Option.
#pragma once

#include <string>
#include <vector>

#include "base/options.h"

namespace speculators {

// Parses `texts` (several for list options) into the field. Throws UsageError: "--lr: expected a number, found 'abc'".
void set_option(Option& option, const std::vector<std::string>& texts);
// The value as text, one element per list item; empty when an optional is unset.
std::vector<std::string> option_texts(const Option& option);
bool is_list(const Option& option);
bool is_flag(const Option& option);           // bool or optional<bool>
std::string type_name(const Option& option);  // "INT", "FLOAT", "TEXT", ...

}  // namespace speculators
