#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/pre_tokenizer_regex.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <cctype>

#include "base/errors.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

constexpr size_t kMaxJitStack = 8 << 20;

// What a thread needs to match; patterns have no state of their own.
struct MatchMemory {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 << 10, kMaxJitStack, nullptr);
  MatchMemory() { pcre2_jit_stack_assign(context, nullptr, stack); }
  MatchMemory(const MatchMemory&) = delete;
  MatchMemory& operator=(const MatchMemory&) = delete;
  ~MatchMemory() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

MatchMemory& match_memory() {
  thread_local MatchMemory memory;
  return memory;
}

std::string error_text(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  std::string place;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern, const std::string& place)
    : Regex(translate_regex(pattern, place), pattern, place) {}

Regex::Regex(std::string pcre2_pattern, std::string_view shown, const std::string& place) {
  auto compiled = std::make_shared<Code>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled->place = place;
  compiled->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pcre2_pattern.data()), pcre2_pattern.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (!compiled->code) {
    throw DataError(
        fmt::format("{}: expected a regular expression, found \"{}\": {} (at character {} of its PCRE2 form)", place,
                    shown, error_text(error), offset));
  }
  pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE);  // without a JIT the interpreter runs
  code_ = std::move(compiled);
}

Regex Regex::from_literal(std::string_view literal, const std::string& place) {
  std::string escaped;
  for (const char byte : literal) {
    const bool is_ascii_symbol = static_cast<uint8_t>(byte) < 0x80 && !std::isalnum(static_cast<uint8_t>(byte));
    if (is_ascii_symbol && byte != '\0') escaped.push_back('\\');
    escaped.push_back(byte);
  }
  return Regex(std::move(escaped), literal, place);
}

void Regex::for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& visit) const {
  MatchMemory& memory = match_memory();
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t from = 0;
  size_t last_end = kNone;
  while (from <= text.size()) {
    const int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                  PCRE2_NO_UTF_CHECK, memory.data, memory.context);
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0) throw DataError(fmt::format("{}: the pattern gave up: {}", code_->place, error_text(found)));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(memory.data);
    const size_t begin = range[0];
    const size_t end = range[1];
    if (begin == end && end == last_end) {
      from = end + (end < text.size() ? unicode::length_from_lead(text[end]) : 1);
      continue;
    }
    visit(begin, end);
    from = last_end = end;
  }
}

void Regex::replace(std::string_view text, std::string_view content, std::string& out) const {
  size_t copied = 0;
  for_each_match(text, [&](size_t begin, size_t end) {
    out.append(text, copied, begin - copied);
    out.append(content);
    copied = end;
  });
  out.append(text, copied);
}

}  // namespace speculators
