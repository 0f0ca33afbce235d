#include "tokenizer/jinja/expression_parser.h"

#include "tokenizer/jinja/expression_nodes.h"

namespace speculators::jinja {
namespace {

constexpr int kMaxChain = 1000;

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

}  // namespace speculators::jinja
