// "a.b.0": what `map(attribute=...)`, sort, groupby and the like read from each item.
#pragma once

#include <vector>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

class AttributePath {
 public:
  // None: the item itself. An int is an index, a str is split at dots.
  explicit AttributePath(const Value& attribute);
  Value get(Value item) const;
  // Where a part is undefined, `otherwise` stands in.
  Value get_or(Value item, const Value& otherwise) const;

 private:
  std::vector<Value> parts_;
};

Value ignore_case(Value value);  // lower case for a str, anything else as it is

// Stable; by `keys`, one per item. Throws a type error for keys without an order.
List sort_by(const List& items, const List& keys, bool reverse);

}  // namespace speculators::jinja
