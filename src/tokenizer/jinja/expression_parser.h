// Expressions: from `or` down to literals, filters, tests and calls.
#pragma once

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/token_stream.h"

namespace speculators::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  ExprPtr parse_expression(bool with_conditional = true);
  // An expression, or a tuple when commas follow.
  ExprPtr parse_tuple(bool with_conditional = true);
  // Filters behind `input`; "| name(...)" each. With `starts_inline` the first has no bar.
  ExprPtr parse_filters(ExprPtr input, bool starts_inline = false);
  // The left side of an assignment. `with_namespace` allows ns.attribute; `stop` ends a tuple.
  Target parse_target(bool with_namespace, std::string_view stop = "");
  Name parse_name_target();

 private:
  ExprPtr parse_conditional();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_comparison();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters = true);
  ExprPtr parse_primary();
  ExprPtr parse_tuple_items(bool with_conditional, bool in_parentheses);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_filters_and_tests(ExprPtr expr);
  ExprPtr parse_attribute(ExprPtr owner);
  ExprPtr parse_subscript(ExprPtr owner);
  ExprPtr parse_call(ExprPtr callee);
  ExprPtr parse_test(ExprPtr input);
  CallArguments parse_arguments();
  void parse_argument(CallArguments& arguments, int line);
  std::string parse_dotted_name();
  Target parse_target_item(bool with_namespace);
  bool is_tuple_end(std::string_view stop) const;
  void count_link(int& links);  // a chain such as a + b + c + ...

  TokenStream& stream_;
  int depth_ = 0;
};

}  // namespace speculators::jinja
