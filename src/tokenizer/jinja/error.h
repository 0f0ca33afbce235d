// What can go wrong in a template. ChatTemplate turns it into UsageError with the template's name and line.
// The kinds matter inside the engine only: filters such as `int` swallow type and value errors, as Python's do.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace speculators::jinja {

enum class ErrorKind {
  kSyntax,     // the template does not parse
  kUndefined,  // an operation on an undefined value
  kType,       // Python's TypeError
  kValue,      // Python's ValueError, OverflowError, ZeroDivisionError
  kSecurity,   // what the sandbox forbids
  kRuntime,    // other errors of the engine, limits included
  kRaised,     // raise_exception: the message is the template's own
};

struct TemplateError : std::runtime_error {
  TemplateError(ErrorKind kind, const std::string& message, int line = 0)
      : std::runtime_error(message), kind(kind), line(line) {}
  ErrorKind kind;
  int line;  // 1 for the first line of the template, 0 while not known yet
};

[[noreturn]] inline void throw_type_error(const std::string& message) {
  throw TemplateError(ErrorKind::kType, message);
}
[[noreturn]] inline void throw_value_error(const std::string& message) {
  throw TemplateError(ErrorKind::kValue, message);
}
[[noreturn]] inline void throw_runtime_error(const std::string& message) {
  throw TemplateError(ErrorKind::kRuntime, message);
}

// Limits that keep a hostile template from taking the machine down. Python stops at about the same depths.
inline constexpr int kMaxCallDepth = 200;                        // nested macro calls
inline constexpr int kMaxNesting = 400;                          // nested expressions, blocks and data
inline constexpr size_t kMaxTextBytes = size_t{64} << 20;        // one string, and the output
inline constexpr size_t kMaxListItems = size_t{2} << 20;         // one list
inline constexpr long long kMaxRange = 100000;                   // as the sandbox of jinja2
inline constexpr long long kMaxLoopSteps = 200LL * 1000 * 1000;  // all loops of one render together

inline void check_text_size(size_t bytes) {
  if (bytes > kMaxTextBytes) throw_runtime_error("a text grew beyond 64 MB");
}
inline void check_list_size(size_t items) {
  if (items > kMaxListItems) throw_runtime_error("a list grew beyond 2 million items");
}

}  // namespace speculators::jinja
