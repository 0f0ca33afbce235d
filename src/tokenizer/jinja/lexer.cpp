#include "tokenizer/jinja/lexer.h"

#include <algorithm>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/string_literal.h"
#include "tokenizer/jinja/text.h"

namespace speculators::jinja {
namespace {

constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                           "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

// Every newline becomes \n, and one at the end of the template goes.
std::string normalise(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out += '\n';
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : owned_(normalise(source)), source_(owned_) {}

  std::vector<Token> run() {
    while (position_ < source_.size()) read_root();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) { throw TemplateError(ErrorKind::kSyntax, message, line_); }

  bool at(std::string_view text) const { return source_.substr(position_).starts_with(text); }

  void add(TokenKind kind, std::string text, Value number = {}) {
    tokens_.push_back({kind, std::move(text), std::move(number), line_});
  }

  // Moves on and counts the lines passed; whether the last character was a newline decides lstrip_blocks.
  void advance(size_t count) {
    const std::string_view passed = source_.substr(position_, count);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    if (!passed.empty()) line_starting_ = passed.back() == '\n';
    position_ += passed.size();
  }

  void skip_spaces() {
    const std::string_view rest = source_.substr(position_);
    advance(rest.size() - strip_left(rest).size());
  }

  // Text up to the next tag, then the tag.
  void read_root() {
    const size_t tag = find_tag();
    if (tag == std::string_view::npos) {
      add_data(source_.substr(position_));
      advance(source_.size());
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    add_text_before(tag, sign, kind == '{');
    advance(sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') return read_comment();
    if (kind == '{') return read_tag(TokenKind::kVariableBegin, TokenKind::kVariableEnd, "}}");
    if (!read_raw()) read_tag(TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}");
  }

  size_t find_tag() const {
    for (size_t i = position_; (i = source_.find('{', i)) != std::string_view::npos; ++i) {
      const char next = i + 1 < source_.size() ? source_[i + 1] : ' ';
      if (next == '%' || next == '{' || next == '#') return i;
    }
    return std::string_view::npos;
  }

  void add_data(std::string_view text) {
    if (!text.empty()) add(TokenKind::kData, std::string(text));
  }

  void add_text_before(size_t tag, char sign, bool is_variable) {
    const std::string_view text = source_.substr(position_, tag - position_);
    std::string_view kept = text;
    if (sign == '-') {
      kept = strip_right(text);
    } else if (sign != '+' && !is_variable) {
      const size_t line = text.rfind('\n') + 1;  // 0 when there is no newline
      if ((line > 0 || line_starting_) && strip_left(text.substr(line)).empty()) kept = text.substr(0, line);
    }
    add_data(kept);
    advance(text.size());
  }

  void read_comment() {
    if (position_ >= source_.size()) return;  // a tag that opens at the very end is ignored
    const size_t end = source_.find("#}", position_);
    if (end == std::string_view::npos) fail("Missing end of comment tag");
    const char sign = end > position_ ? source_[end - 1] : ' ';
    advance(end + 2 - position_);
    finish_tag(sign);
  }

  // After a tag: "-" takes all white space, "+" nothing, else one newline goes (trim_blocks).
  void finish_tag(char sign) {
    if (sign == '-') {
      skip_spaces();
    } else if (sign != '+' && at("\n")) {
      advance(1);
    }
  }

  // The opening tag is read up to its sign. Takes the whole raw block, or nothing when it is no raw block.
  bool read_raw() {
    size_t i = position_;
    const auto skip = [&] { i = source_.size() - strip_left(source_.substr(std::min(i, source_.size()))).size(); };
    skip();
    if (!source_.substr(i).starts_with("raw")) return false;
    i += 3;
    skip();
    const bool strips = source_.substr(i).starts_with("-%}");
    if (!strips && !source_.substr(i).starts_with("%}")) return false;
    advance(i + (strips ? 3 : 2) - position_);
    if (strips) skip_spaces();
    read_raw_body();
    return true;
  }

  void read_raw_body() {
    if (position_ >= source_.size()) return;
    for (size_t tag = position_; (tag = source_.find("{%", tag)) != std::string_view::npos; ++tag) {
      size_t i = tag + 2;
      const char sign = i < source_.size() && (source_[i] == '-' || source_[i] == '+') ? source_[i++] : ' ';
      std::string_view rest = strip_left(source_.substr(i));
      if (!rest.starts_with("endraw")) continue;
      rest = strip_left(rest.substr(6));
      const bool signed_end = rest.starts_with("-%}") || rest.starts_with("+%}");
      if (!signed_end && !rest.starts_with("%}")) continue;
      const char end_sign = signed_end ? rest[0] : ' ';
      add_text_before(tag, sign, /*is_variable=*/false);
      advance(source_.size() - rest.size() + (signed_end ? 3 : 2) - position_);
      return finish_tag(end_sign);
    }
    fail("Missing end of raw directive");
  }

  void read_tag(TokenKind begin, TokenKind end, std::string_view closing) {
    add(begin, "");
    std::string open;  // brackets that wait for their partner; inside them the closing characters are operators
    while (true) {
      skip_spaces();
      if (position_ >= source_.size()) return;
      if (open.empty() && read_end(end, closing)) return;
      read_token(open);
    }
  }

  bool read_end(TokenKind end, std::string_view closing) {
    const char sign = source_[position_];
    const bool takes_plus = end == TokenKind::kBlockEnd && sign == '+';
    const size_t skip = sign == '-' || takes_plus ? 1 : 0;
    if (!source_.substr(position_ + skip).starts_with(closing)) return false;
    add(end, "");
    advance(skip + 2);
    // The newline after {{ }} stays.
    finish_tag(skip == 1 ? sign : end == TokenKind::kVariableEnd ? '+' : ' ');
    return true;
  }

  void read_token(std::string& open) {
    const char c = source_[position_];
    if (is_digit_char(c)) return read_number();
    if (c == '\'' || c == '"') return read_string();
    size_t after = position_;
    const char32_t point = next_code_point(source_, after);
    if (point == '_' || is_alnum(point)) return read_name();
    const auto* found = std::ranges::find_if(kOperators, [this](std::string_view text) { return at(text); });
    if (found == std::end(kOperators)) {
      fail("unexpected char " + quote_text(source_.substr(position_, after - position_)) + " at " +
           std::to_string(count_code_points(source_.substr(0, position_))));
    }
    check_balance(open, *found);
    add(TokenKind::kOperator, std::string(*found));
    advance(found->size());
  }

  void check_balance(std::string& open, std::string_view op) {
    if (op == "(") open += ')';
    if (op == "[") open += ']';
    if (op == "{") open += '}';
    if (op != ")" && op != "]" && op != "}") return;
    if (open.empty()) fail("unexpected '" + std::string(op) + "'");
    if (open.back() != op[0]) fail("unexpected '" + std::string(op) + "', expected '" + open.back() + "'");
    open.pop_back();
  }

  void read_name() {
    const size_t start = position_;
    size_t end = position_;
    for (size_t next = end; next < source_.size(); end = next) {
      const char32_t c = next_code_point(source_, next);
      if (c != '_' && !is_alnum(c)) break;
    }
    add(TokenKind::kName, std::string(source_.substr(start, end - start)));
    advance(end - start);
  }

  void read_string() {
    const char quote = source_[position_];
    size_t end = position_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) {
      fail("unexpected char " + quote_text(std::string_view(&quote, 1)) + " at " +
           std::to_string(count_code_points(source_.substr(0, position_))));
    }
    const std::string_view body = source_.substr(position_ + 1, end - position_ - 1);
    try {
      add(TokenKind::kString, unescape_literal(body));
    } catch (const TemplateError& error) {
      fail(error.what());
    }
    advance(end + 1 - position_);
  }

  // Digits with single underscores between them.
  size_t digits_end(size_t i) const {
    if (i >= source_.size() || !is_digit_char(source_[i])) return i;
    while (i < source_.size()) {
      if (is_digit_char(source_[i])) {
        ++i;
      } else if (source_[i] == '_' && i + 1 < source_.size() && is_digit_char(source_[i + 1])) {
        i += 2;
      } else {
        break;
      }
    }
    return i;
  }

  // The end of a float that starts here, or the start when it is none.
  size_t float_end() const {
    // "a.0.1": what follows a dot is a subscript.
    if (position_ > 0 && source_[position_ - 1] == '.') return position_;
    const size_t whole = digits_end(position_);
    size_t end = whole;
    if (end < source_.size() && source_[end] == '.') {
      const size_t fraction = digits_end(end + 1);
      end = fraction > end + 1 ? fraction : end;
    }
    size_t exponent = end;
    if (exponent < source_.size() && (source_[exponent] | 0x20) == 'e') {
      ++exponent;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
      const size_t stop = digits_end(exponent);
      if (stop > exponent) return stop;
    }
    return end > whole ? end : position_;
  }

  size_t integer_end() const {
    const auto prefixed = [this](char marker, std::string_view digits) {
      if (position_ + 1 >= source_.size() || (source_[position_ + 1] | 0x20) != marker) return position_;
      size_t i = position_ + 2;
      while (i < source_.size()) {
        const size_t digit = source_[i] == '_' ? i + 1 : i;
        if (digit >= source_.size() || digits.find(static_cast<char>(source_[digit] | 0x20)) == digits.npos) break;
        i = digit + 1;
      }
      return i > position_ + 2 ? i : position_;
    };
    if (source_[position_] != '0') return digits_end(position_);
    // `| 0x20` leaves digits as they are.
    for (const auto& [marker, digits] :
         {std::pair('b', "01"), std::pair('o', "01234567"), std::pair('x', "0123456789abcdef")}) {
      if (const size_t end = prefixed(marker, digits); end > position_) return end;
    }
    size_t end = position_ + 1;  // only zeros may follow a zero
    while (end < source_.size() && (source_[end] == '0' || source_.substr(end).starts_with("_0"))) {
      end += source_[end] == '0' ? 1 : 2;
    }
    return end;
  }

  void read_number() {
    const size_t real_end = float_end();
    const size_t end = real_end > position_ ? real_end : integer_end();
    std::string text(source_.substr(position_, end - position_));
    std::erase(text, '_');
    try {
      if (real_end > position_) {
        add(TokenKind::kFloat, text, Value(*parse_float(text)));
      } else {
        add(TokenKind::kInteger, text, Value(*parse_int(text, 0)));
      }
    } catch (const TemplateError& error) {
      fail(error.what());
    }
    advance(end - position_);
  }

  std::string owned_;
  std::string_view source_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "template data / text";
    case TokenKind::kVariableBegin:
      return "begin of print statement";
    case TokenKind::kVariableEnd:
      return "end of print statement";
    case TokenKind::kBlockBegin:
      return "begin of statement block";
    case TokenKind::kBlockEnd:
      return "end of statement block";
    case TokenKind::kName:
      return token.text;
    case TokenKind::kString:
      return "string";
    case TokenKind::kInteger:
      return "integer";
    case TokenKind::kFloat:
      return "float";
    case TokenKind::kOperator:
      return token.text;
    case TokenKind::kEnd:
      return "end of template";
  }
  return "";
}

}  // namespace speculators::jinja
