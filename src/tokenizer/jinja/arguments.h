// Call arguments bound to parameter names, with Python's messages for what does not fit.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

class BoundArguments {
 public:
  // The first `required` of `names` must be given. Throws type errors that start with "function()".
  // `arguments` must outlive this.
  BoundArguments(std::string function, const Arguments& arguments, std::initializer_list<const char*> names,
                 size_t required);
  const Value* find(size_t parameter) const { return values_[parameter]; }  // null: not given
  const Value& get(size_t parameter) const { return *values_[parameter]; }  // of a required one
  Value get_or(size_t parameter, Value otherwise) const;
  bool get_bool(size_t parameter, bool otherwise) const;           // by truth
  Int get_int(size_t parameter, Int otherwise) const;              // throws unless an integer
  const std::string& get_string(size_t parameter) const;           // throws unless a str
  std::optional<std::string> find_string(size_t parameter) const;  // None counts as not given

 private:
  std::string function_;
  std::vector<const Value*> values_;
};

}  // namespace speculators::jinja
