#include "tokenizer/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

bool has_flag(char32_t c, unicode::Flag flag) { return (unicode::flags(c) & flag) != 0; }

// Whether a word character ends at `at` / starts there.
bool word_before(std::string_view text, size_t at) {
  return at > 0 && has_flag(unicode::last_before(text.data() + at), unicode::kWord);
}
bool word_after(std::string_view text, size_t at) {
  const char* p = text.data() + at;
  return at < text.size() && has_flag(unicode::decode(p), unicode::kWord);
}

size_t skip_space_back(std::string_view text, size_t at, size_t limit) {
  while (at > limit && has_flag(unicode::last_before(text.data() + at), unicode::kSpace)) {
    do --at;
    while ((static_cast<uint8_t>(text[at]) & 0xc0) == 0x80);
  }
  return at;
}

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    const char* p = text.data() + at;
    if (!has_flag(unicode::decode(p), unicode::kSpace)) break;
    at = static_cast<size_t>(p - text.data());
  }
  return at;
}

AddedToken read_token(const Json& value, const std::string& place) {
  const JsonObject entry(value, place);
  AddedToken token;
  token.content = entry.get_string("content");
  const int64_t id = entry.get_int("id");
  if (id < 0 || id > Vocabulary::kMaxId) {
    throw DataError(fmt::format("{}: id: expected 0 to {}, found {}", place, Vocabulary::kMaxId, id));
  }
  token.id = static_cast<int32_t>(id);
  token.single_word = entry.get_bool("single_word");
  token.lstrip = entry.get_bool("lstrip");
  token.rstrip = entry.get_bool("rstrip");
  token.normalized = entry.get_bool("normalized");
  token.special = entry.get_bool("special");
  return token;
}

// Gives out ids as the `tokenizers` package does, whatever the file says: first those of the vocabulary, then new ones.
class IdAssigner {
 public:
  explicit IdAssigner(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), next_(static_cast<int32_t>(vocabulary.size())) {}
  int32_t assign(const std::string& content) {
    const int32_t known = vocabulary_.find(content);
    return known != Vocabulary::kNoToken ? known : next_++;
  }

 private:
  const Vocabulary& vocabulary_;
  int32_t next_;
};

}  // namespace

void TokenMatcher::add(std::string pattern, size_t index) {
  starts_[static_cast<uint8_t>(pattern.front())] = true;
  patterns_.push_back({std::move(pattern), index});
}

void TokenMatcher::finish() {
  std::sort(patterns_.begin(), patterns_.end(), [](const Pattern& a, const Pattern& b) { return a.bytes < b.bytes; });
  for (uint32_t i = 0; i < patterns_.size(); ++i) {
    Bucket& bucket = buckets_[static_cast<uint8_t>(patterns_[i].bytes[0])];
    if (bucket.last == 0) bucket = {i, i, patterns_[i].bytes};
    bucket.last = i + 1;
    const std::string& bytes = patterns_[i].bytes;
    const auto [end, unused] = std::mismatch(bucket.prefix.begin(), bucket.prefix.end(), bytes.begin(), bytes.end());
    bucket.prefix.erase(end, bucket.prefix.end());
  }
}

std::optional<TokenMatcher::Match> TokenMatcher::find(std::string_view text, size_t from) const {
  if (patterns_.empty()) return std::nullopt;
  for (size_t at = from; at < text.size(); ++at) {
    if (!starts_[static_cast<uint8_t>(text[at])]) continue;
    if (const auto match = longest_at(text, at)) return match;
  }
  return std::nullopt;
}

// Narrows the sorted list, byte by byte, to the patterns that the text continues.
std::optional<TokenMatcher::Match> TokenMatcher::longest_at(std::string_view text, size_t begin) const {
  const Bucket& bucket = buckets_[static_cast<uint8_t>(text[begin])];
  if (!text.substr(begin).starts_with(bucket.prefix)) return std::nullopt;
  std::optional<Match> longest;
  auto first = patterns_.begin() + bucket.first;
  auto last = patterns_.begin() + bucket.last;
  for (size_t depth = bucket.prefix.size() - 1; first != last && begin + depth < text.size(); ++depth) {
    const auto byte = static_cast<uint8_t>(text[begin + depth]);
    const auto byte_of = [depth](const Pattern& pattern) { return static_cast<uint8_t>(pattern.bytes[depth]); };
    first = std::partition_point(first, last, [&](const Pattern& pattern) { return byte_of(pattern) < byte; });
    last = std::partition_point(first, last, [&](const Pattern& pattern) { return byte_of(pattern) == byte; });
    if (first == last || first->bytes.size() != depth + 1) continue;
    longest = Match{begin, begin + depth + 1, first->index};
    ++first;
  }
  return longest;
}

AddedTokens AddedTokens::parse(const Json& list, const Vocabulary& vocabulary, const Normalizer& normalizer,
                               const std::string& place) {
  AddedTokens result;
  if (list.is_null()) return result;
  if (!list.is_array()) throw DataError(fmt::format("{}: expected a list", place));
  IdAssigner ids(vocabulary);
  for (size_t i = 0; i < list.size(); ++i) {
    AddedToken token = read_token(list[i], fmt::format("{}[{}]", place, i));
    if (token.content.empty()) continue;
    token.normal_form = token.normalized ? normalizer.apply(token.content) : token.content;
    const auto [known, is_new] = result.by_content_.try_emplace(token.content, result.tokens_.size());
    if (is_new) {
      token.id = ids.assign(token.content);
      result.tokens_.push_back(std::move(token));
    } else {
      AddedToken& earlier = result.tokens_[known->second];
      token.id = earlier.id;
      token.special |= earlier.special;
      earlier = std::move(token);
    }
  }
  result.index(place);
  return result;
}

void AddedTokens::index(const std::string& place) {
  std::sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  std::vector<std::string_view> normal_forms;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    by_content_[token.content] = i;
    if (token.normal_form.empty()) {
      throw DataError(fmt::format("{}: the normalizer leaves nothing of the token \"{}\"", place, token.content));
    }
    if (token.normalized) normal_forms.push_back(token.normal_form);
    (token.normalized ? normalized_ : raw_).add(token.normal_form, i);
  }
  std::sort(normal_forms.begin(), normal_forms.end());
  const auto twice = std::adjacent_find(normal_forms.begin(), normal_forms.end());
  if (twice != normal_forms.end()) {
    throw DataError(fmt::format("{}: expected different tokens, found two with the normal form \"{}\"", place, *twice));
  }
  raw_.finish();
  normalized_.finish();
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto found = std::lower_bound(tokens_.begin(), tokens_.end(), id,
                                      [](const AddedToken& token, int32_t wanted) { return token.id < wanted; });
  return found != tokens_.end() && found->id == id ? &*found : nullptr;
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found != by_content_.end() ? &tokens_[found->second] : nullptr;
}

void AddedTokens::split(const TokenMatcher& matcher, std::string_view text, std::vector<Section>& sections) const {
  size_t covered = 0;
  size_t from = 0;
  while (const auto match = matcher.find(text, from)) {
    from = match->end;
    const AddedToken& token = tokens_[match->index];
    if (token.single_word && (word_before(text, match->begin) || word_after(text, match->end))) continue;
    const size_t begin = token.lstrip ? skip_space_back(text, match->begin, covered) : match->begin;
    const size_t end = token.rstrip ? skip_space(text, match->end) : match->end;
    if (covered < begin) sections.push_back({covered, begin, -1});
    sections.push_back({begin, end, token.id});
    covered = end;
  }
  if (covered < text.size()) sections.push_back({covered, text.size(), -1});
}

}  // namespace speculators
