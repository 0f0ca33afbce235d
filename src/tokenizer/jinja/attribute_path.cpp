#include "tokenizer/jinja/attribute_path.h"

#include <algorithm>
#include <numeric>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {

AttributePath::AttributePath(const Value& attribute) {
  if (attribute.is<None>()) return;
  if (attribute.string() == nullptr) {
    parts_.push_back(attribute);
    return;
  }
  for (std::string& part : split(*attribute.string(), ".", -1)) {
    const bool is_index = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    parts_.push_back(is_index ? Value(*parse_int(part, 10)) : Value(std::move(part)));
  }
}

Value AttributePath::get(Value item) const {
  for (const Value& part : parts_) item = get_item(item, part);
  return item;
}

Value AttributePath::get_or(Value item, const Value& otherwise) const {
  for (const Value& part : parts_) {
    item = get_item(item, part);
    if (item.is<Undefined>()) item = otherwise;
  }
  return item;
}

Value ignore_case(Value value) { return value.string() != nullptr ? Value(to_lower(*value.string())) : value; }

List sort_by(const List& items, const List& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return reverse ? compare(CompareOperator::kLess, keys[b], keys[a])
                   : compare(CompareOperator::kLess, keys[a], keys[b]);
  });
  List sorted;
  sorted.reserve(items.size());
  for (const size_t i : order) sorted.push_back(items[i]);
  return sorted;
}

}  // namespace speculators::jinja
