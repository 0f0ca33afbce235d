#include "tokenizer/jinja/expression_parser.h"

#include <array>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/predicates.h"

namespace speculators::jinja {
namespace {

constexpr int kMaxChain = 1000;

template <class Node>
ExprPtr make(int line, Node node) {
  auto expr = std::make_unique<Expr>();
  expr->line = line;
  expr->node = std::move(node);
  return expr;
}

std::optional<CompareOperator> comparison_of(std::string_view op) {
  if (op == "==") return CompareOperator::kEqual;
  if (op == "!=") return CompareOperator::kNotEqual;
  if (op == "<") return CompareOperator::kLess;
  if (op == "<=") return CompareOperator::kLessEqual;
  if (op == ">") return CompareOperator::kGreater;
  if (op == ">=") return CompareOperator::kGreaterEqual;
  return std::nullopt;
}

std::optional<BinaryOperator> product_of(std::string_view op) {
  if (op == "*") return BinaryOperator::kMultiply;
  if (op == "/") return BinaryOperator::kDivide;
  if (op == "//") return BinaryOperator::kFloorDivide;
  if (op == "%") return BinaryOperator::kModulo;
  return std::nullopt;
}

// Literals that are spelled as names.
std::optional<Value> constant_of(std::string_view name) {
  if (name == "true" || name == "True") return Value(true);
  if (name == "false" || name == "False") return Value(false);
  if (name == "none" || name == "None") return Value();
  return std::nullopt;
}

}  // namespace

// Chains become trees as deep as they are long.
void ExpressionParser::count_link(int& links) {
  if (++links > kMaxChain) stream_.fail("an expression of more than 1000 parts");
}

ExprPtr ExpressionParser::parse_expression(bool with_conditional) {
  return with_conditional ? parse_conditional() : parse_or();
}

ExprPtr ExpressionParser::parse_conditional() {
  int links = 0;
  int line = stream_.line();
  ExprPtr expr = parse_or();
  while (stream_.skip_name("if")) {
    count_link(links);
    Conditional node;
    node.then = std::move(expr);
    node.test = parse_or();
    if (stream_.skip_name("else")) node.otherwise = parse_conditional();
    expr = make(line, std::move(node));
    line = stream_.line();
  }
  return expr;
}

ExprPtr ExpressionParser::parse_or() {
  int links = 0;
  int line = stream_.line();
  ExprPtr left = parse_and();
  while (stream_.skip_name("or")) {
    count_link(links);
    left = make(line, Logical{false, std::move(left), parse_and()});
    line = stream_.line();
  }
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  int links = 0;
  int line = stream_.line();
  ExprPtr left = parse_not();
  while (stream_.skip_name("and")) {
    count_link(links);
    left = make(line, Logical{true, std::move(left), parse_not()});
    line = stream_.line();
  }
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  if (!stream_.at_name("not")) return parse_comparison();
  if (++depth_ > kMaxNesting) stream_.fail("expressions nested more than 400 deep");
  const int line = stream_.next().line;
  ExprPtr expr = make(line, Unary{UnaryOperator::kNot, parse_not()});
  --depth_;
  return expr;
}

ExprPtr ExpressionParser::parse_comparison() {
  const int line = stream_.line();
  Comparison node;
  node.first = parse_sum();
  while (true) {
    const auto op = stream_.at(TokenKind::kOperator) ? comparison_of(stream_.current().text) : std::nullopt;
    if (op) {
      stream_.next();
      node.rest.emplace_back(*op, parse_sum());
    } else if (stream_.skip_name("in")) {
      node.rest.emplace_back(CompareOperator::kIn, parse_sum());
    } else if (stream_.at_name("not") && stream_.peek().kind == TokenKind::kName && stream_.peek().text == "in") {
      stream_.next();
      stream_.next();
      node.rest.emplace_back(CompareOperator::kNotIn, parse_sum());
    } else {
      break;
    }
  }
  return node.rest.empty() ? std::move(node.first) : make(line, std::move(node));
}

ExprPtr ExpressionParser::parse_sum() {
  int links = 0;
  int line = stream_.line();
  ExprPtr left = parse_concat();
  while (stream_.at_operator("+") || stream_.at_operator("-")) {
    count_link(links);
    const auto op = stream_.next().text == "+" ? BinaryOperator::kAdd : BinaryOperator::kSubtract;
    left = make(line, Binary{op, std::move(left), parse_concat()});
    line = stream_.line();
  }
  return left;
}

ExprPtr ExpressionParser::parse_concat() {
  const int line = stream_.line();
  Concat node;
  node.parts.push_back(parse_product());
  while (stream_.skip_operator("~")) node.parts.push_back(parse_product());
  return node.parts.size() == 1 ? std::move(node.parts[0]) : make(line, std::move(node));
}

ExprPtr ExpressionParser::parse_product() {
  int links = 0;
  int line = stream_.line();
  ExprPtr left = parse_power();
  while (stream_.at(TokenKind::kOperator)) {
    const auto op = product_of(stream_.current().text);
    if (!op) break;
    count_link(links);
    stream_.next();
    left = make(line, Binary{*op, std::move(left), parse_power()});
    line = stream_.line();
  }
  return left;
}

ExprPtr ExpressionParser::parse_power() {
  int links = 0;
  int line = stream_.line();
  ExprPtr left = parse_unary();
  while (stream_.skip_operator("**")) {
    count_link(links);
    left = make(line, Binary{BinaryOperator::kPower, std::move(left), parse_unary()});
    line = stream_.line();
  }
  return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
  if (++depth_ > kMaxNesting) stream_.fail("expressions nested more than 400 deep");
  const int line = stream_.line();
  ExprPtr expr;
  if (stream_.skip_operator("-")) {
    expr = make(line, Unary{UnaryOperator::kNegate, parse_unary(false)});
  } else if (stream_.skip_operator("+")) {
    expr = make(line, Unary{UnaryOperator::kPlus, parse_unary(false)});
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  if (with_filters) expr = parse_filters_and_tests(std::move(expr));
  --depth_;
  return expr;
}

ExprPtr ExpressionParser::parse_primary() {
  const Token& token = stream_.current();
  const int line = token.line;
  switch (token.kind) {
    case TokenKind::kName: {
      const std::string name = stream_.next().text;
      if (const auto constant = constant_of(name)) return make(line, Constant{*constant});
      return make(line, Name{name});
    }
    case TokenKind::kString: {
      std::string text;
      while (stream_.at(TokenKind::kString)) text += stream_.next().text;
      return make(line, Constant{Value(std::move(text))});
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return make(line, Constant{stream_.next().number});
    default:
      break;
  }
  if (stream_.skip_operator("(")) {
    ExprPtr expr = parse_tuple_items(true, /*in_parentheses=*/true);
    stream_.expect_operator(")");
    return expr;
  }
  if (stream_.at_operator("[")) return parse_list();
  if (stream_.at_operator("{")) return parse_dict();
  stream_.fail("unexpected '" + describe(token) + "'");
}

bool ExpressionParser::is_tuple_end(std::string_view stop) const {
  return stream_.at(TokenKind::kVariableEnd) || stream_.at(TokenKind::kBlockEnd) || stream_.at_operator(")") ||
         (!stop.empty() && stream_.at_name(stop));
}

ExprPtr ExpressionParser::parse_tuple(bool with_conditional) {
  return parse_tuple_items(with_conditional, /*in_parentheses=*/false);
}

ExprPtr ExpressionParser::parse_tuple_items(bool with_conditional, bool in_parentheses) {
  const int line = stream_.line();
  TupleExpr tuple;
  bool has_comma = false;
  while (true) {
    if (!tuple.items.empty()) stream_.expect_operator(",");
    if (is_tuple_end("")) break;
    tuple.items.push_back(parse_expression(with_conditional));
    if (!stream_.at_operator(",")) break;
    has_comma = true;
  }
  if (!has_comma && !tuple.items.empty()) return std::move(tuple.items[0]);
  if (!has_comma && !in_parentheses) stream_.fail("Expected an expression, got '" + describe(stream_.current()) + "'");
  return make(line, std::move(tuple));
}

ExprPtr ExpressionParser::parse_list() {
  const int line = stream_.next().line;
  ListExpr list;
  while (!stream_.at_operator("]")) {
    if (!list.items.empty()) stream_.expect_operator(",");
    if (stream_.at_operator("]")) break;
    list.items.push_back(parse_expression());
  }
  stream_.expect_operator("]");
  return make(line, std::move(list));
}

ExprPtr ExpressionParser::parse_dict() {
  const int line = stream_.next().line;
  DictExpr dict;
  while (!stream_.at_operator("}")) {
    if (!dict.items.empty()) stream_.expect_operator(",");
    if (stream_.at_operator("}")) break;
    ExprPtr key = parse_expression();
    stream_.expect_operator(":");
    dict.items.emplace_back(std::move(key), parse_expression());
  }
  stream_.expect_operator("}");
  return make(line, std::move(dict));
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr expr) {
  int links = 0;
  while (true) {
    count_link(links);
    if (stream_.at_operator(".")) {
      expr = parse_attribute(std::move(expr));
    } else if (stream_.at_operator("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (stream_.at_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_filters_and_tests(ExprPtr expr) {
  int links = 0;
  while (true) {
    count_link(links);
    if (stream_.at_operator("|")) {
      expr = parse_filters(std::move(expr));
    } else if (stream_.at_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (stream_.at_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_attribute(ExprPtr owner) {
  const int line = stream_.next().line;
  const Token name = stream_.next();
  if (name.kind == TokenKind::kName) return make(line, AttributeExpr{std::move(owner), name.text});
  if (name.kind != TokenKind::kInteger) stream_.fail("expected name or number", name.line);
  return make(line, Subscript{std::move(owner), make(name.line, Constant{name.number})});
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr owner) {
  const int line = stream_.next().line;
  std::array<ExprPtr, 3> bounds;
  size_t bound = 0;
  TupleExpr items;
  if (stream_.skip_operator("]")) return make(line, Subscript{std::move(owner), make(line, TupleExpr{})});
  const bool is_slice_start = stream_.at_operator(":");
  if (!is_slice_start) {
    bounds[0] = parse_expression();
    while (stream_.skip_operator(",")) {
      items.items.push_back(std::move(bounds[0]));
      bounds[0] = parse_expression();
    }
  }
  if (!stream_.at_operator(":")) {
    stream_.expect_operator("]");
    if (items.items.empty()) return make(line, Subscript{std::move(owner), std::move(bounds[0])});
    items.items.push_back(std::move(bounds[0]));
    return make(line, Subscript{std::move(owner), make(line, std::move(items))});
  }
  if (!items.items.empty()) stream_.fail("a slice inside a tuple subscript is not supported");
  while (bound < 2 && stream_.skip_operator(":")) {
    ++bound;
    if (!stream_.at_operator(":") && !stream_.at_operator("]")) bounds[bound] = parse_expression();
  }
  stream_.expect_operator("]");
  return make(line, SliceExpr{std::move(owner), std::move(bounds[0]), std::move(bounds[1]), std::move(bounds[2])});
}

void ExpressionParser::parse_argument(CallArguments& arguments, int line) {
  const auto ensure = [&](bool holds) {
    if (!holds) stream_.fail("invalid syntax for function call expression", line);
  };
  const bool has_more = arguments.more_positional != nullptr || arguments.more_keywords != nullptr;
  if (stream_.skip_operator("*")) {
    ensure(!has_more);
    arguments.more_positional = parse_expression();
  } else if (stream_.skip_operator("**")) {
    ensure(arguments.more_keywords == nullptr);
    arguments.more_keywords = parse_expression();
  } else if (stream_.at(TokenKind::kName) && stream_.peek().kind == TokenKind::kOperator &&
             stream_.peek().text == "=") {
    ensure(arguments.more_keywords == nullptr);
    std::string name = stream_.next().text;
    stream_.next();
    arguments.keywords.emplace_back(std::move(name), parse_expression());
  } else {
    ensure(!has_more && arguments.keywords.empty());
    arguments.positional.push_back(parse_expression());
  }
}

CallArguments ExpressionParser::parse_arguments() {
  const int line = stream_.line();
  stream_.expect_operator("(");
  CallArguments arguments;
  bool needs_comma = false;
  while (!stream_.at_operator(")")) {
    if (needs_comma) stream_.expect_operator(",");
    if (needs_comma && stream_.at_operator(")")) break;
    parse_argument(arguments, line);
    needs_comma = true;
  }
  stream_.expect_operator(")");
  return arguments;
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
  const int line = stream_.line();
  return make(line, CallExpr{std::move(callee), parse_arguments()});
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = stream_.expect_name().text;
  while (stream_.skip_operator(".")) name += "." + stream_.expect_name().text;
  return name;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr input, bool starts_inline) {
  int links = 0;
  while (starts_inline || stream_.at_operator("|")) {
    count_link(links);
    if (!starts_inline) stream_.next();
    starts_inline = false;
    const int line = stream_.line();
    FilterExpr node;
    node.input = std::move(input);
    node.name = parse_dotted_name();
    node.filter = find_filter(node.name);
    if (stream_.at_operator("(")) node.arguments = parse_arguments();
    input = make(line, std::move(node));
  }
  return input;
}

ExprPtr ExpressionParser::parse_test(ExprPtr input) {
  const int line = stream_.next().line;
  const bool is_negated = stream_.skip_name("not");
  TestExpr node;
  node.input = std::move(input);
  node.name = parse_dotted_name();
  node.test = find_predicate(node.name);
  const bool starts_value =
      (stream_.at(TokenKind::kName) && !stream_.at_name("else") && !stream_.at_name("or") && !stream_.at_name("and")) ||
      stream_.at(TokenKind::kString) || stream_.at(TokenKind::kInteger) || stream_.at(TokenKind::kFloat) ||
      stream_.at_operator("[") || stream_.at_operator("{");
  if (stream_.at_operator("(")) {
    node.arguments = parse_arguments();
  } else if (starts_value) {
    if (stream_.at_name("is")) stream_.fail("You cannot chain multiple tests with is");
    node.arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  ExprPtr expr = make(line, std::move(node));
  return is_negated ? make(line, Unary{UnaryOperator::kNot, std::move(expr)}) : std::move(expr);
}

Name ExpressionParser::parse_name_target() {
  const Token token = stream_.expect_name();
  if (constant_of(token.text)) stream_.fail("can't assign to 'name'", token.line);
  return Name{token.text};
}

Target ExpressionParser::parse_target_item(bool with_namespace) {
  Target target;
  target.line = stream_.line();
  if (stream_.skip_operator("(")) {
    target = parse_target(with_namespace);
    stream_.expect_operator(")");
    return target;
  }
  if (!stream_.at(TokenKind::kName)) {
    if (stream_.at(TokenKind::kString) || stream_.at(TokenKind::kInteger) || stream_.at(TokenKind::kFloat)) {
      stream_.fail("can't assign to 'const'");
    }
    stream_.fail("unexpected '" + describe(stream_.current()) + "'");
  }
  if (constant_of(stream_.current().text)) stream_.fail("can't assign to 'const'");
  Name name = parse_name_target();
  if (with_namespace && stream_.skip_operator(".")) {
    target.node = NamespaceTarget{std::move(name), stream_.expect_name().text};
  } else {
    target.node = std::move(name);
  }
  return target;
}

Target ExpressionParser::parse_target(bool with_namespace, std::string_view stop) {
  const int line = stream_.line();
  std::vector<Target> items;
  bool has_comma = false;
  while (true) {
    if (!items.empty()) stream_.expect_operator(",");
    if (is_tuple_end(stop)) break;
    items.push_back(parse_target_item(with_namespace));
    if (!stream_.at_operator(",")) break;
    has_comma = true;
  }
  if (items.empty()) stream_.fail("Expected an expression, got '" + describe(stream_.current()) + "'");
  if (!has_comma) return std::move(items[0]);
  Target tuple;
  tuple.line = line;
  tuple.node = std::move(items);
  return tuple;
}

}  // namespace speculators::jinja
