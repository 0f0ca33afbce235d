// Visits the parts of an expression in the order they are written.
#pragma once

#include "tokenizer/jinja/ast.h"

namespace speculators::jinja {

// Calls visit(Expr&) for every direct child of `expr`.
template <class Visit>
void for_each_argument(CallArguments& arguments, Visit&& visit) {
  for (auto& value : arguments.positional) visit(*value);
  for (auto& [name, value] : arguments.keywords) visit(*value);
  if (arguments.more_positional) visit(*arguments.more_positional);
  if (arguments.more_keywords) visit(*arguments.more_keywords);
}

template <class Visit>
struct ChildVisitor {
  Visit& visit;
  void one(ExprPtr& expr) {
    if (expr != nullptr) visit(*expr);
  }
  void all(std::vector<ExprPtr>& items) {
    for (auto& item : items) one(item);
  }
  void operator()(Name&) {}
  void operator()(Constant&) {}
  void operator()(TupleExpr& node) { all(node.items); }
  void operator()(ListExpr& node) { all(node.items); }
  void operator()(DictExpr& node) {
    for (auto& [key, value] : node.items) {
      one(key);
      one(value);
    }
  }
  void operator()(Unary& node) { one(node.operand); }
  void operator()(Binary& node) {
    one(node.left);
    one(node.right);
  }
  void operator()(Logical& node) {
    one(node.left);
    one(node.right);
  }
  void operator()(Concat& node) { all(node.parts); }
  void operator()(Comparison& node) {
    one(node.first);
    for (auto& [op, value] : node.rest) one(value);
  }
  void operator()(Conditional& node) {
    one(node.test);
    one(node.then);
    one(node.otherwise);
  }
  void operator()(AttributeExpr& node) { one(node.owner); }
  void operator()(Subscript& node) {
    one(node.owner);
    one(node.item);
  }
  void operator()(SliceExpr& node) {
    one(node.owner);
    one(node.start);
    one(node.stop);
    one(node.step);
  }
  void operator()(CallExpr& node) {
    one(node.callee);
    for_each_argument(node.arguments, visit);
  }
  void operator()(FilterExpr& node) {
    one(node.input);
    for_each_argument(node.arguments, visit);
  }
  void operator()(TestExpr& node) {
    one(node.input);
    for_each_argument(node.arguments, visit);
  }
};

template <class Visit>
void for_each_child(Expr& expr, Visit&& visit) {
  ChildVisitor<std::remove_reference_t<Visit>> visitor{visit};
  std::visit(visitor, expr.node);
}

}  // namespace speculators::jinja
