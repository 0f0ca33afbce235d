// Oniguruma (Ruby syntax) -> PCRE2.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "base/errors.h"
#include "tokenizer/pre_tokenizer_regex.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

// Members of a character class; PCRE2's own \s has U+180E in addition, and its \w follows another rule.
constexpr std::string_view kSpaces =
    "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
    "\\x{202f}\\x{205f}\\x{3000}";
constexpr std::string_view kWordExtras =
    "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"
    "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}";
constexpr std::string_view kHexDigits = "0-9a-fA-F";

// Ranges of the code points that joined a category after Unicode 14, which PCRE2 10.42 stopped at.
std::string new_members(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::string, std::less<>> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(name); found != known.end()) return found->second;
  const auto belongs = [&](char32_t c) {
    return (unicode::flags(c) & unicode::kNew) != 0 && unicode::is_in(unicode::category(c), name);
  };
  std::string ranges;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (!belongs(c)) continue;
    char32_t last = c;
    while (last + 1 < 0x110000 && belongs(last + 1)) ++last;
    ranges += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<uint32_t>(c), static_cast<uint32_t>(last));
    c = last;
  }
  return known.emplace(name, ranges).first->second;
}

std::string category_members(std::string_view name) { return fmt::format("\\p{{{}}}{}", name, new_members(name)); }

std::string word_members() {
  return category_members("L") + category_members("M") + category_members("Nd") + category_members("Nl") +
         category_members("Pc") + std::string(kWordExtras);
}

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& place) : pattern_(pattern), place_(place) {}

  std::string run() {
    while (at_ < pattern_.size()) item();
    return std::move(out_);
  }

 private:
  bool looking_at(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  [[noreturn]] void fail(std::string_view what) const {
    throw DataError(
        fmt::format("{}: {} at character {} of the pattern \"{}\" is not supported", place_, what, at_, pattern_));
  }

  // One item outside character classes. `atom_` is where the thing that a quantifier would repeat starts in out_.
  void item() {
    const char c = pattern_[at_];
    if (c == '{') return interval();
    if (c == '?' || c == '*' || c == '+') return copy(1);
    if (c == '(') return open_group();
    if (c == ')') {
      atom_ = groups_.empty() ? out_.size() : groups_.back();
      if (!groups_.empty()) groups_.pop_back();
      return copy(1);
    }
    atom_ = out_.size();
    if (c == '[') return character_class();
    if (c == '\\') return escape(/*in_class=*/false);
    copy(unicode::length_from_lead(c));
  }

  void copy(size_t count) {
    out_.append(pattern_, at_, count);
    at_ += std::min(count, pattern_.size() - at_);
  }

  // Ruby's {n,m}+ repeats the interval; in PCRE2 it would be possessive. {,m} means {0,m}.
  void interval() {
    const size_t close = pattern_.find('}', at_);
    const std::string_view inside = close == std::string_view::npos ? "" : pattern_.substr(at_ + 1, close - at_ - 1);
    const bool is_interval = !inside.empty() && inside != "," && inside.find_first_not_of("0123456789,") == inside.npos;
    if (!is_interval) {
      atom_ = out_.size();
      return copy(1);
    }
    out_ += fmt::format("{{{}{}}}", inside.front() == ',' ? "0" : "", inside);
    at_ = close + 1;
    if (at_ < pattern_.size() && pattern_[at_] == '+') {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
  }

  // (?m) makes the dot match newlines in Ruby: PCRE2 calls that s.
  void open_group() {
    groups_.push_back(out_.size());
    atom_ = out_.size();
    if (!looking_at("(?")) return copy(1);
    const size_t end = pattern_.find_first_not_of("imx-", at_ + 2);
    const bool is_flags =
        end != std::string_view::npos && end > at_ + 2 && (pattern_[end] == ':' || pattern_[end] == ')');
    if (!is_flags) return copy(2);
    std::string flags(pattern_.substr(at_, end - at_));
    std::replace(flags.begin() + 2, flags.end(), 'm', 's');
    out_ += flags;
    at_ = end;
    if (pattern_[end] == ':') copy(1);
  }

  void character_class() {
    copy(looking_at("[^") ? 2 : 1);
    if (looking_at("]")) copy(1);  // a member
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      if (looking_at("[:")) fail("a [:posix:] class");
      if (looking_at("[")) fail("a class inside a class");
      if (looking_at("&&")) fail("&& in a class");
      if (looking_at("\\")) {
        escape(/*in_class=*/true);
      } else {
        copy(unicode::length_from_lead(pattern_[at_]));
      }
    }
    copy(1);
  }

  void escape(bool in_class) {
    if (at_ + 1 == pattern_.size()) return copy(1);
    const char c = pattern_[at_ + 1];
    const auto emit = [&](std::string_view members, bool negated) {
      out_ += in_class ? std::string(members) : fmt::format("[{}{}]", negated ? "^" : "", members);
      at_ += 2;
    };
    switch (c) {
      case 's':
        return emit(kSpaces, false);
      case 'S':
        return in_class ? emit("\\S\\x{180e}", false) : emit(kSpaces, true);
      case 'd':
        return emit(category_members("Nd"), false);
      case 'D':
        return in_class ? copy(2) : emit(category_members("Nd"), true);
      case 'h':
        return emit(kHexDigits, false);
      case 'w':
        return emit(word_members(), false);
      case 'H':
      case 'W':
        if (in_class) fail(fmt::format("\\{} in a class", c));
        return emit(c == 'H' ? std::string(kHexDigits) : word_members(), true);
      case 'u':
        return code_point();
      case 'p':
      case 'P':
        return property(in_class, c == 'P');
      default:
        return copy(1 + unicode::length_from_lead(c));
    }
  }

  void code_point() {
    const std::string_view digits = pattern_.substr(at_ + 2, 4);
    if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos) fail("\\u");
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ += 6;
  }

  void property(bool in_class, bool negated) {
    const size_t close = pattern_.find('}', at_);
    if (!looking_at("\\p{") && !looking_at("\\P{")) return copy(2);
    if (close == std::string_view::npos) fail("\\p without }");
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    const std::string added = unicode::is_category_name(name) ? new_members(name) : "";
    at_ = close + 1;
    if (in_class || added.empty()) {
      out_ += fmt::format("\\{}{{{}}}{}", negated ? 'P' : 'p', name, negated ? "" : added);
    } else {
      out_ += fmt::format("[{}\\p{{{}}}{}]", negated ? "^" : "", name, added);
    }
  }

  std::string_view pattern_;
  const std::string& place_;
  size_t at_ = 0;
  std::string out_;
  size_t atom_ = 0;
  std::vector<size_t> groups_;
};

}  // namespace

std::string translate_regex(std::string_view pattern, const std::string& place) {
  return Translator(pattern, place).run();
}

}  // namespace speculators
