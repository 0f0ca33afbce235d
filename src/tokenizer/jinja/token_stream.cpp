#include "tokenizer/jinja/token_stream.h"

#include "tokenizer/jinja/error.h"

namespace speculators::jinja {

void TokenStream::fail(const std::string& message, int line) const {
  throw TemplateError(ErrorKind::kSyntax, message, line != 0 ? line : current().line);
}

void TokenStream::fail_expected(const std::string& expected) const {
  if (at(TokenKind::kEnd)) fail("unexpected end of template, expected '" + expected + "'.");
  fail("expected token '" + expected + "', got '" + describe(current()) + "'");
}

void TokenStream::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail_expected(std::string(text));
}

void TokenStream::expect_name(std::string_view name) {
  if (!skip_name(name)) fail_expected(std::string(name));
}

Token TokenStream::expect_name() {
  if (!at(TokenKind::kName)) fail_expected("name");
  return next();
}

void TokenStream::expect(TokenKind kind) {
  if (!at(kind)) fail_expected(describe(Token{kind, "", {}, 0}));
  next();
}

}  // namespace speculators::jinja
