// A cursor over the tokens of a template, shared by the expression and the statement parser.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/lexer.h"

namespace speculators::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  const Token& current() const { return tokens_[position_]; }
  const Token& peek() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  Token next() { return tokens_[position_ + 1 < tokens_.size() ? position_++ : position_]; }
  int line() const { return current().line; }
  bool at(TokenKind kind) const { return current().kind == kind; }
  bool at_name(std::string_view name) const { return at(TokenKind::kName) && current().text == name; }
  bool at_operator(std::string_view text) const { return at(TokenKind::kOperator) && current().text == text; }
  bool skip_name(std::string_view name) { return at_name(name) && (next(), true); }
  bool skip_operator(std::string_view text) { return at_operator(text) && (next(), true); }
  void expect_operator(std::string_view text);
  Token expect_name();  // any name
  void expect_name(std::string_view name);
  void expect(TokenKind kind);
  [[noreturn]] void fail(const std::string& message, int line = 0) const;  // line 0: the current one

 private:
  [[noreturn]] void fail_expected(const std::string& expected) const;
  std::vector<Token> tokens_;  // ends with kEnd
  size_t position_ = 0;
};

}  // namespace speculators::jinja
