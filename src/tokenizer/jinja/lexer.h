// Template source -> tokens, white space control applied: trim_blocks (the newline after a tag goes), lstrip_blocks
// (blanks before a tag that opens a line go), "-" and "+" signs, raw blocks, comments.
// Source: https://jinja.palletsprojects.com, "Template Designer Documentation"; checked against the jinja2 package.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace speculators::jinja {

enum class TokenKind {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // data, name, unescaped string, or the operator's characters
  Value number;      // of kInteger and kFloat
  int line = 0;
};

// Throws TemplateError(kSyntax) with the line.
std::vector<Token> tokenize(std::string_view source);

std::string describe(const Token& token);  // for messages: 'end of template', a name, an operator

}  // namespace speculators::jinja
