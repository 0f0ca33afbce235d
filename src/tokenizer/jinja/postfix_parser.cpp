// The second half of the expression parser: what follows a primary expression (attributes, subscripts, calls, filters,
// tests), and the left sides of assignments.
#include <array>

#include "tokenizer/jinja/expression_nodes.h"
#include "tokenizer/jinja/expression_parser.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/predicates.h"

namespace speculators::jinja {

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
