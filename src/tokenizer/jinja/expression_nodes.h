// What both halves of the expression parser build nodes with.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

template <class Node>
ExprPtr make(int line, Node node) {
  auto expr = std::make_unique<Expr>();
  expr->line = line;
  expr->node = std::move(node);
  return expr;
}

// Literals that are spelled as names: true, False, none, ...
inline std::optional<Value> constant_of(std::string_view name) {
  if (name == "true" || name == "True") return Value(true);
  if (name == "false" || name == "False") return Value(false);
  if (name == "none" || name == "None") return Value();
  return std::nullopt;
}

}  // namespace speculators::jinja
