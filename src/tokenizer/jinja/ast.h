// The parsed template. Names are bound to variable slots once, by scopes.h, so rendering looks nothing up by text.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

class Renderer;
using Filter = Value (*)(Renderer& renderer, const Value& input, const Arguments& arguments);
using Predicate = bool (*)(Renderer& renderer, const Value& input, const Arguments& arguments);  // `x is predicate`

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

// A variable: `hops` frames outwards, then `slot`.
struct Name {
  std::string name;
  int hops = 0;
  int slot = -1;
};
struct Constant {
  Value value;
};
struct TupleExpr {
  std::vector<ExprPtr> items;
};
struct ListExpr {
  std::vector<ExprPtr> items;
};
struct DictExpr {
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};
enum class UnaryOperator { kNot, kNegate, kPlus };
struct Unary {
  UnaryOperator op;
  ExprPtr operand;
};
struct Binary {
  BinaryOperator op;
  ExprPtr left, right;
};
struct Logical {
  bool is_and;
  ExprPtr left, right;
};
struct Concat {
  std::vector<ExprPtr> parts;
};
struct Comparison {
  ExprPtr first;
  std::vector<std::pair<CompareOperator, ExprPtr>> rest;
};
struct Conditional {
  ExprPtr test, then, otherwise;  // `otherwise` may be null
};
struct AttributeExpr {
  ExprPtr owner;
  std::string name;
};
struct Subscript {
  ExprPtr owner, item;
};
struct SliceExpr {
  ExprPtr owner, start, stop, step;  // bounds may be null
};
struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr more_positional, more_keywords;  // *args, **kwargs; may be null
};
struct CallExpr {
  ExprPtr callee;
  CallArguments arguments;
};
struct FilterExpr {
  ExprPtr input;  // null: the text of the enclosing block
  std::string name;
  Filter filter;  // null: no such filter, an error once it is used
  CallArguments arguments;
};
struct TestExpr {
  ExprPtr input;
  std::string name;
  Predicate test;  // null: no such test, an error once it is used
  CallArguments arguments;
};

struct Expr {
  using Node = std::variant<Name, Constant, TupleExpr, ListExpr, DictExpr, Unary, Binary, Logical, Concat, Comparison,
                            Conditional, AttributeExpr, Subscript, SliceExpr, CallExpr, FilterExpr, TestExpr>;
  int line = 0;
  Node node;
};

// What can be assigned to.
struct Target;
struct NamespaceTarget {
  Name name;
  std::string attribute;
};
struct Target {
  int line = 0;
  std::variant<Name, NamespaceTarget, std::vector<Target>> node;
};

// How a slot starts when its scope is entered.
struct Slot {
  enum class Start { kUndefined, kParameter, kResolve, kAlias };
  std::string name;
  Start start = Start::kUndefined;
  int hops = 0;  // of the outer slot that kAlias copies
  int slot = -1;
};
struct Scope {
  std::vector<Slot> slots;
  bool has_closures = false;  // macros or call blocks may keep its frame alive
};

struct Statement;
using Body = std::vector<Statement>;

struct Text {
  std::string text;
};
struct Print {
  ExprPtr value;
};
struct If {
  ExprPtr test;
  Body body;
  std::vector<If> elifs;  // with test and body only
  Body otherwise;
  int line = 0;
};
struct For {
  Target target;
  ExprPtr iterable;
  ExprPtr filter;        // may be null
  Target filter_target;  // `target` once more, bound in the scope of the filter
  Body body, otherwise;
  bool is_recursive = false;
  int loop_slot = -1;  // of the variable `loop`; -1: not used
  Scope scope, filter_scope, otherwise_scope;
};
struct Parameter {
  Name name;
  ExprPtr fallback;  // may be null
};
struct MacroDefinition {
  std::string name;  // empty for call blocks
  std::vector<Parameter> parameters;
  Body body;
  Scope scope;
  int caller_slot = -1, kwargs_slot = -1, varargs_slot = -1;  // -1: not used
  bool has_explicit_caller = false;
};
struct MacroStatement {
  Name name;
  MacroDefinition definition;
};
struct CallBlock {
  MacroDefinition caller;
  ExprPtr call;  // a CallExpr
};
struct GenerationBlock {
  Body body;
  Scope scope;
};
struct FilterBlock {
  ExprPtr filter;  // a FilterExpr without input, or a chain that starts with one
  Body body;
  Scope scope;
};
struct Assign {
  Target target;
  ExprPtr value;
};
struct AssignBlock {
  Target target;
  ExprPtr filter;  // may be null
  Body body;
  Scope scope;
};
struct With {
  std::vector<std::pair<Name, ExprPtr>> values;
  Body body;
  Scope scope;
};
struct Break {};
struct Continue {};

struct Statement {
  using Node = std::variant<Text, Print, If, For, MacroStatement, CallBlock, GenerationBlock, FilterBlock, Assign,
                            AssignBlock, With, Break, Continue>;
  int line = 0;
  Node node;
};

struct Template {
  Body body;
  Scope scope;
};

}  // namespace speculators::jinja
