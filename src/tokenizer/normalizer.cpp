#include "tokenizer/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/errors.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/pre_tokenizer_regex.h"
#include "tokenizer/unicode.h"

namespace speculators {

struct Normalizer::Step {
  virtual ~Step() = default;
  // Writes the transformed text to `out` (empty before); returns false when `text` would stay as it is.
  virtual bool apply(std::string_view text, std::string& out) const = 0;
  // Whether the first character of the result comes from behind the first character of `text`.
  virtual bool drops_start(std::string_view text) const { return false; }
};

namespace {

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char byte) { return static_cast<uint8_t>(byte) >= 0x80; });
}

// Appends the normal form of `text`, which contains no opaque characters.
void append_normalized(std::string_view text, int options, std::string& out) {
  if (text.empty()) return;
  utf8proc_uint8_t* result = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(options));
  if (length < 0) throw DataError(fmt::format("Unicode normalisation failed: {}", utf8proc_errmsg(length)));
  out.append(reinterpret_cast<const char*>(result), static_cast<size_t>(length));
  std::free(result);
}

// Cuts the text at characters that nothing composes or reorders across, and normalises what lies between.
struct UnicodeForm final : Normalizer::Step {
  int options;
  bool is_nfc;
  UnicodeForm(int options, bool is_nfc) : options(options | UTF8PROC_STABLE), is_nfc(is_nfc) {}

  bool apply(std::string_view text, std::string& out) const override {
    if (is_ascii(text)) return false;
    return is_nfc ? compose(text, out) : decompose(text, out);
  }

  // NFC: a span of work starts at the inert character before the first one that is not, and ends at the next inert one.
  bool compose(std::string_view text, std::string& out) const {
    const uint16_t* flags = unicode::flags_table();
    const char* const end = text.data() + text.size();
    const char* copied = text.data();
    const char* before = text.data();  // start of the previous character
    bool changed = false;
    for (const char* p = text.data(); p < end;) {
      const char* const start = p;
      if (flags[unicode::decode(p)] & unicode::kNfcInert) {
        before = start;
        continue;
      }
      const char* from = before;
      if (const char* q = from; flags[unicode::decode(q)] & unicode::kOpaque) from = start;
      while (p < end) {
        const char* q = p;
        if (flags[unicode::decode(q)] & unicode::kNfcInert) break;
        p = q;
      }
      out.append(copied, from);
      append_normalized({from, p}, options, out);
      copied = before = p;
      changed = true;
    }
    if (changed) out.append(copied, end);
    return changed;
  }

  bool decompose(std::string_view text, std::string& out) const {
    const uint16_t* flags = unicode::flags_table();
    const char* const end = text.data() + text.size();
    const char* from = text.data();
    for (const char* p = text.data(); p < end;) {
      const char* const start = p;
      if (!(flags[unicode::decode(p)] & unicode::kOpaque)) continue;
      append_normalized({from, start}, options, out);
      out.append(start, p);
      from = p;
    }
    append_normalized({from, end}, options, out);
    return true;
  }
};

struct Lowercase final : Normalizer::Step {
  bool apply(std::string_view text, std::string& out) const override {
    const char* const end = text.data() + text.size();
    for (const char* p = text.data(); p < end;) unicode::append_lower(out, unicode::decode(p));
    return true;
  }
};

struct Prepend final : Normalizer::Step {
  std::string prefix;
  explicit Prepend(std::string prefix) : prefix(std::move(prefix)) {}
  bool apply(std::string_view text, std::string& out) const override {
    if (text.empty()) return false;
    out.append(prefix).append(text);
    return true;
  }
};

// Where a match at the very beginning is replaced, the new text counts as coming from the last character of the match.
bool replaces_start(std::string_view match, std::string_view content) {
  return content.empty() || unicode::count(match) > 1;
}

struct ReplaceLiteral final : Normalizer::Step {
  std::string pattern, content;
  ReplaceLiteral(std::string pattern, std::string content) : pattern(std::move(pattern)), content(std::move(content)) {}
  bool apply(std::string_view text, std::string& out) const override {
    size_t at = text.find(pattern);
    if (at == std::string_view::npos) return false;
    size_t copied = 0;
    for (; at != std::string_view::npos; at = text.find(pattern, copied)) {
      out.append(text, copied, at - copied).append(content);
      copied = at + pattern.size();
    }
    out.append(text, copied);
    return true;
  }
  bool drops_start(std::string_view text) const override {
    return text.starts_with(pattern) && replaces_start(pattern, content);
  }
};

struct ReplaceRegex final : Normalizer::Step {
  Regex regex;
  std::string content;
  ReplaceRegex(Regex regex, std::string content) : regex(std::move(regex)), content(std::move(content)) {}
  bool apply(std::string_view text, std::string& out) const override {
    regex.replace(text, content, out);
    return true;
  }
  bool drops_start(std::string_view text) const override {
    bool drops = false;
    regex.for_each_match(text, [&](size_t begin, size_t end) {
      drops |= begin == 0 && end > 0 && replaces_start(text.substr(0, end), content);
    });
    return drops;
  }
};

struct Strip final : Normalizer::Step {
  bool left, right;
  Strip(bool left, bool right) : left(left), right(right) {}
  bool apply(std::string_view text, std::string& out) const override {
    const char* begin = text.data();
    const char* end = begin + text.size();
    while (left && begin < end) {
      const char* p = begin;
      if (!(unicode::flags(unicode::decode(p)) & unicode::kSpace)) break;
      begin = p;
    }
    while (right && begin < end && (unicode::flags(unicode::last_before(end)) & unicode::kSpace)) {
      do --end;
      while ((static_cast<uint8_t>(*end) & 0xc0) == 0x80);
    }
    out.append(begin, end);
    return true;
  }
  bool drops_start(std::string_view text) const override {
    const char* p = text.data();
    return left && !text.empty() && (unicode::flags(unicode::decode(p)) & unicode::kSpace);
  }
};

struct ByteLevel final : Normalizer::Step {
  bool apply(std::string_view text, std::string& out) const override {
    append_byte_alphabet(out, text);
    return true;
  }
};

std::shared_ptr<const Normalizer::Step> make_replace(const JsonObject& part) {
  const JsonObject pattern = part.get_object("pattern");
  const std::string content = part.get_string("content");
  if (pattern.has("Regex")) {
    return std::make_shared<ReplaceRegex>(Regex(pattern.get_string("Regex"), part.place()), content);
  }
  const std::string literal = pattern.get_string("String");
  if (literal.empty()) return std::make_shared<ReplaceRegex>(Regex("", part.place()), content);
  return std::make_shared<ReplaceLiteral>(literal, content);
}

std::shared_ptr<const Normalizer::Step> make_step(const std::string& type, const JsonObject& part) {
  constexpr int kCompat = UTF8PROC_COMPAT;
  if (type == "NFC") return std::make_shared<UnicodeForm>(UTF8PROC_COMPOSE, true);
  if (type == "NFD") return std::make_shared<UnicodeForm>(UTF8PROC_DECOMPOSE, false);
  if (type == "NFKC") return std::make_shared<UnicodeForm>(UTF8PROC_COMPOSE | kCompat, false);
  if (type == "NFKD") return std::make_shared<UnicodeForm>(UTF8PROC_DECOMPOSE | kCompat, false);
  if (type == "Lowercase") return std::make_shared<Lowercase>();
  if (type == "Prepend") return std::make_shared<Prepend>(part.get_string("prepend"));
  if (type == "Replace") return make_replace(part);
  if (type == "Strip") return std::make_shared<Strip>(part.get_bool("strip_left"), part.get_bool("strip_right"));
  if (type == "ByteLevel") return std::make_shared<ByteLevel>();
  throw DataError(
      fmt::format("{}: type: expected NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, ByteLevel or Sequence, "
                  "found \"{}\", "
                  "which is not supported",
                  part.place(), type));
}

}  // namespace

Normalizer Normalizer::parse(const Json& value, const std::string& place) {
  Normalizer normalizer;
  normalizer.append_steps(value, place);
  return normalizer;
}

void Normalizer::append_steps(const Json& value, const std::string& place) {
  if (value.is_null()) return;
  const JsonObject part(value, place);
  const std::string type = part.get_string("type");
  if (type != "Sequence") {
    steps_.push_back(make_step(type, part));
    return;
  }
  if (!part.has("normalizers") || !value["normalizers"].is_array()) {
    throw DataError(fmt::format("{}: normalizers: expected a list", place));
  }
  size_t index = 0;
  for (const Json& item : value["normalizers"]) append_steps(item, fmt::format("{}.normalizers[{}]", place, index++));
}

std::string_view Normalizer::apply(std::string_view text, Buffers& buffers) const {
  buffers.keeps_start = true;
  for (const auto& step : steps_) {
    buffers.next.clear();
    if (!step->apply(text, buffers.next)) continue;
    buffers.keeps_start &= !step->drops_start(text);
    buffers.current.swap(buffers.next);
    text = buffers.current;
  }
  return text;
}

std::string Normalizer::apply(std::string_view text) const {
  Buffers buffers;
  return std::string(apply(text, buffers));
}

}  // namespace speculators
