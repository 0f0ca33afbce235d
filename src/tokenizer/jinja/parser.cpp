#include "tokenizer/jinja/parser.h"

#include <algorithm>

#include "tokenizer/jinja/expression_parser.h"
#include "tokenizer/jinja/scopes.h"

namespace speculators::jinja {
namespace {

using EndTags = std::vector<std::string_view>;

constexpr std::string_view kRefusedTags[] = {"block", "extends", "include", "import", "from", "autoescape", "trans"};

std::string join_quoted(const EndTags& tags) {
  std::string out;
  for (const auto tag : tags) out += (out.empty() ? "'" : " or '") + std::string(tag) + "'";
  return out;
}

class StatementParser {
 public:
  explicit StatementParser(TokenStream& stream) : stream_(stream), expressions_(stream) {}

  // Statements up to one of `end_tags`, whose name stays the current token; without end tags up to the end.
  Body parse_body(const EndTags& end_tags) {
    if (++depth_ > kMaxNesting) stream_.fail("blocks nested more than 400 deep");
    if (!end_tags.empty()) ends_.push_back(end_tags);
    Body body;
    while (!stream_.at(TokenKind::kEnd)) {
      const int line = stream_.line();
      if (stream_.at(TokenKind::kData)) {
        body.push_back({line, Text{stream_.next().text}});
      } else if (stream_.at(TokenKind::kVariableBegin)) {
        stream_.next();
        body.push_back({line, Print{expressions_.parse_tuple()}});
        stream_.expect(TokenKind::kVariableEnd);
      } else {
        stream_.next();  // {%
        if (stream_.at(TokenKind::kName) && std::ranges::count(end_tags, stream_.current().text) != 0) {
          ends_.pop_back();
          --depth_;
          return body;
        }
        parse_statement(body, line);
        stream_.expect(TokenKind::kBlockEnd);
      }
    }
    if (!end_tags.empty()) fail_unclosed(std::nullopt);
    --depth_;
    return body;
  }

 private:
  [[noreturn]] void fail_unclosed(std::optional<std::string> tag) {
    std::string message = tag ? "Encountered unknown tag '" + *tag + "'." : "Unexpected end of template.";
    if (!ends_.empty()) {
      const bool nested =
          tag && std::ranges::any_of(ends_, [&](const EndTags& tags) { return std::ranges::count(tags, *tag) != 0; });
      message += nested
                     ? " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for " +
                           join_quoted(ends_.back()) + "."
                     : " Jinja was looking for the following tags: " + join_quoted(ends_.back()) + ".";
    }
    if (!tags_.empty()) message += " The innermost block that needs to be closed is '" + tags_.back() + "'.";
    stream_.fail(message);
  }

  // The rest of an opening tag and the body behind it; the end tag's name stays the current token.
  Body parse_block(const EndTags& end_tags) {
    stream_.skip_operator(":");
    stream_.expect(TokenKind::kBlockEnd);
    return parse_body(end_tags);
  }
  Body parse_block_and_end(std::string_view end_tag) {
    Body body = parse_block({end_tag});
    stream_.next();
    return body;
  }

  void parse_statement(Body& body, int line) {
    if (!stream_.at(TokenKind::kName)) stream_.fail("tag name expected");
    const std::string tag = stream_.current().text;
    tags_.push_back(tag);
    Statement statement;
    statement.line = line;
    if (tag == "print") return parse_print(body, line);
    if (!parse_known(tag, statement)) {
      tags_.pop_back();
      if (std::ranges::count(kRefusedTags, tag) != 0) {
        stream_.fail("the tag '" + tag + "' is not available in chat templates");
      }
      fail_unclosed(tag);
    }
    body.push_back(std::move(statement));
    tags_.pop_back();
  }

  bool parse_known(const std::string& tag, Statement& statement) {
    const int line = stream_.line();
    if (tag == "if") {
      stream_.next();
      statement.node = parse_if(line);
    } else if (tag == "for") {
      statement.node = parse_for();
    } else if (tag == "set") {
      parse_set(statement);
    } else if (tag == "macro") {
      statement.node = parse_macro();
    } else if (tag == "call") {
      statement.node = parse_call_block();
    } else if (tag == "filter") {
      statement.node = parse_filter_block();
    } else if (tag == "with") {
      statement.node = parse_with();
    } else if (tag == "generation") {
      stream_.next();
      const OutsideLoop guard(*this);
      statement.node = GenerationBlock{parse_block_and_end("endgeneration"), {}};
    } else if (tag == "break" || tag == "continue") {
      stream_.next();
      if (loops_ == 0) stream_.fail("'" + tag + "' outside loop", line);
      if (tag == "break") {
        statement.node = Break{};
      } else {
        statement.node = Continue{};
      }
    } else {
      return false;
    }
    return true;
  }

  void parse_print(Body& body, int line) {
    stream_.next();
    bool needs_comma = false;
    while (!stream_.at(TokenKind::kBlockEnd)) {
      if (needs_comma) stream_.expect_operator(",");
      body.push_back({line, Print{expressions_.parse_expression()}});
      needs_comma = true;
    }
    tags_.pop_back();
  }

  If parse_if(int line) {
    If node;
    node.line = line;
    node.test = expressions_.parse_tuple(/*with_conditional=*/false);
    node.body = parse_block({"elif", "else", "endif"});
    while (stream_.at_name("elif")) {
      stream_.next();
      If branch;
      branch.line = stream_.line();
      branch.test = expressions_.parse_tuple(/*with_conditional=*/false);
      branch.body = parse_block({"elif", "else", "endif"});
      node.elifs.push_back(std::move(branch));
    }
    if (stream_.next().text == "else") node.otherwise = parse_block_and_end("endif");
    return node;
  }

  For parse_for() {
    stream_.next();
    For node;
    node.target = expressions_.parse_target(/*with_namespace=*/false, "in");
    node.filter_target = node.target;
    stream_.expect_name("in");
    node.iterable = expressions_.parse_tuple(/*with_conditional=*/false);
    if (stream_.skip_name("if")) node.filter = expressions_.parse_expression();
    node.is_recursive = stream_.skip_name("recursive");
    ++loops_;
    node.body = parse_block({"endfor", "else"});
    --loops_;
    if (stream_.next().text == "else") node.otherwise = parse_block_and_end("endfor");
    return node;
  }

  void parse_set(Statement& statement) {
    stream_.next();
    Target target = expressions_.parse_target(/*with_namespace=*/true);
    if (stream_.skip_operator("=")) {
      statement.node = Assign{std::move(target), expressions_.parse_tuple()};
      return;
    }
    AssignBlock node;
    node.target = std::move(target);
    node.filter = expressions_.parse_filters(nullptr);
    node.body = parse_block_and_end("endset");
    statement.node = std::move(node);
  }

  // break and continue do not reach out of a macro.
  struct OutsideLoop {
    explicit OutsideLoop(StatementParser& parser) : parser(parser), loops(parser.loops_) { parser.loops_ = 0; }
    ~OutsideLoop() { parser.loops_ = loops; }
    StatementParser& parser;
    int loops;
  };

  void parse_signature(MacroDefinition& definition) {
    stream_.expect_operator("(");
    while (!stream_.at_operator(")")) {
      if (!definition.parameters.empty()) stream_.expect_operator(",");
      Parameter parameter;
      parameter.name = expressions_.parse_name_target();
      const std::string& name = parameter.name.name;
      if (std::ranges::any_of(definition.parameters, [&](const Parameter& other) { return other.name.name == name; })) {
        stream_.fail("duplicate argument '" + name + "' in function definition");
      }
      if (stream_.skip_operator("=")) {
        parameter.fallback = expressions_.parse_expression();
      } else if (!definition.parameters.empty() && definition.parameters.back().fallback != nullptr) {
        stream_.fail("non-default argument follows default argument");
      }
      definition.parameters.push_back(std::move(parameter));
    }
    stream_.next();
  }

  MacroStatement parse_macro() {
    stream_.next();
    MacroStatement node;
    node.name = expressions_.parse_name_target();
    node.definition.name = node.name.name;
    parse_signature(node.definition);
    const OutsideLoop guard(*this);
    node.definition.body = parse_block_and_end("endmacro");
    return node;
  }

  CallBlock parse_call_block() {
    const int line = stream_.next().line;
    CallBlock node;
    if (stream_.at_operator("(")) parse_signature(node.caller);
    node.call = expressions_.parse_expression();
    if (!std::holds_alternative<CallExpr>(node.call->node)) stream_.fail("expected call", line);
    const OutsideLoop guard(*this);
    node.caller.body = parse_block_and_end("endcall");
    return node;
  }

  FilterBlock parse_filter_block() {
    stream_.next();
    FilterBlock node;
    node.filter = expressions_.parse_filters(nullptr, /*starts_inline=*/true);
    node.body = parse_block_and_end("endfilter");
    return node;
  }

  With parse_with() {
    stream_.next();
    With node;
    while (!stream_.at(TokenKind::kBlockEnd)) {
      if (!node.values.empty()) stream_.expect_operator(",");
      Name name = expressions_.parse_name_target();
      stream_.expect_operator("=");
      node.values.emplace_back(std::move(name), expressions_.parse_expression());
    }
    node.body = parse_block_and_end("endwith");
    return node;
  }

  TokenStream& stream_;
  ExpressionParser expressions_;
  std::vector<EndTags> ends_;      // what the open blocks wait for
  std::vector<std::string> tags_;  // the open tags
  int loops_ = 0;
  int depth_ = 0;
};

}  // namespace

Template parse_template(std::string_view source) {
  TokenStream stream(tokenize(source));
  Template result;
  result.body = StatementParser(stream).parse_body({});
  bind_names(result);
  return result;
}

}  // namespace speculators::jinja
