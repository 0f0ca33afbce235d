// The "added_tokens" of tokenizer.json: tokens found in the text before the model sees it, longest first at each place.
// Those with normalized=false are looked for in the raw text, the others in its normal form. Const methods are
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "tokenizer/bpe_vocabulary.h"
#include "tokenizer/normalizer.h"

namespace speculators {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and after it
  bool normalized = false;
  bool special = false;     // left out by decode(skip_special_tokens)
  std::string normal_form;  // of content, when `normalized`; else content
};

// A stretch of text that is one added token (id >= 0), or text for the model (id -1). Never empty.
struct Section {
  size_t begin;
  size_t end;
  int32_t id;
};

// Finds the longest of a set of strings at each place, leftmost first.
class TokenMatcher {
 public:
  // `index` values identify the patterns; no pattern is empty, none occurs twice.
  void add(std::string pattern, size_t index);
  void finish();
  bool empty() const { return patterns_.empty(); }

  struct Match {
    size_t begin;
    size_t end;
    size_t index;
  };
  std::optional<Match> find(std::string_view text, size_t from) const;

 private:
  struct Pattern {
    std::string bytes;
    size_t index;
  };
  // The patterns [first, last) that start with one byte, and the bytes that all of them start with.
  struct Bucket {
    uint32_t first = 0;
    uint32_t last = 0;
    std::string prefix;
  };
  std::optional<Match> longest_at(std::string_view text, size_t begin) const;
  std::vector<Pattern> patterns_;  // sorted: a stretch of the list shares a prefix
  std::array<Bucket, 256> buckets_;
  std::array<bool, 256> starts_{};
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // `list` is the JSON list, or null. A token that the vocabulary has keeps that id; a new one gets the next free id,
  // as the `tokenizers` package does. Throws DataError naming `place`.
  static AddedTokens parse(const Json& list, const Vocabulary& vocabulary, const Normalizer& normalizer,
                           const std::string& place);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* find(int32_t id) const;
  const AddedToken* find(std::string_view content) const;

  void split_raw(std::string_view text, std::vector<Section>& sections) const { split(raw_, text, sections); }
  void split_normalized(std::string_view text, std::vector<Section>& sections) const {
    split(normalized_, text, sections);
  }

 private:
  void split(const TokenMatcher& matcher, std::string_view text, std::vector<Section>& sections) const;
  void index(const std::string& place);

  std::vector<AddedToken> tokens_;  // by id
  std::unordered_map<std::string, size_t> by_content_;
  TokenMatcher raw_;
  TokenMatcher normalized_;
};

}  // namespace speculators
