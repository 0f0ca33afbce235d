// Regular expressions of tokenizer.json. They are written for Oniguruma (Ruby syntax); PCRE2 with its JIT runs them
// after a translation that keeps their meaning: \s, \w, \h, \p{..} of newer Unicode, `{n,m}+`, the (?m) flag, \uHHHH.
// Const methods may run on many threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace speculators {

// The PCRE2 spelling of an Oniguruma pattern. Throws DataError (starting with `place`) for what PCRE2 cannot express:
// nested character classes, &&, [:posix:] classes, \W inside a class.
std::string translate_regex(std::string_view pattern, const std::string& place);

class Regex {
 public:
  // Throws DataError for a pattern that does not compile, naming `place`, the position and the cause.
  Regex(std::string_view pattern, const std::string& place);
  // Matches `literal` itself.
  static Regex from_literal(std::string_view literal, const std::string& place);

  // Calls `visit(begin, end)` for every match, left to right without overlap. An empty match that touches the match
  // before it is skipped. `text` is valid UTF-8. Throws DataError when the pattern needs too much memory or time.
  void for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& visit) const;

  // The text with every match replaced by `content`, appended to `out`.
  void replace(std::string_view text, std::string_view content, std::string& out) const;

 private:
  struct Code;
  Regex(std::string pcre2_pattern, std::string_view shown, const std::string& place);
  std::shared_ptr<const Code> code_;
};

}  // namespace speculators
