// Python's json.dumps for template values: its spacing, its float repr, its escapes.
#pragma once

#include <optional>
#include <string>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

struct JsonStyle {
  bool ascii_only = false;  // every other character as \uXXXX
  bool sort_keys = false;
  std::optional<std::string> indent;  // one level of it; not set: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

// Throws a type error for what JSON cannot hold, undefined values included.
std::string dump_json(const Value& value, const JsonStyle& style);

}  // namespace speculators::jinja
