#include "tokenizer/bpe.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/unicode.h"

namespace speculators {
namespace {

constexpr char32_t kMarker = 0x2581;  // SentencePiece's word marker
constexpr std::string_view kMarkerBytes = "\xe2\x96\x81";

}  // namespace

Bpe::Bpe(Vocabulary vocabulary, MergeTable merges, BpeOptions options, std::string place)
    : vocabulary_(std::move(vocabulary)),
      merges_(std::move(merges)),
      options_(std::move(options)),
      place_(std::move(place)) {
  index_characters();
  index_marker();
}

void Bpe::index_characters() {
  has_byte_alphabet_ = true;
  for (int byte = 0; byte < 256; ++byte) {
    std::string character;
    unicode::append(character, byte_to_alphabet(static_cast<uint8_t>(byte)));
    alphabet_ids_[byte] = vocabulary_.find(character);
    has_byte_alphabet_ &= alphabet_ids_[byte] != Vocabulary::kNoToken;
    byte_tokens_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
  }
  for (int32_t id = 0; id < vocabulary_.id_end(); ++id) {
    const std::string_view token = vocabulary_.contains(id) ? vocabulary_.token(id) : "";
    if (token.empty() || unicode::length_from_lead(token[0]) != token.size()) continue;
    const char* p = token.data();
    const char32_t c = unicode::decode(p);
    if (c >= character_ids_.size()) character_ids_.resize(c + 1, Vocabulary::kNoToken);
    character_ids_[c] = id;
  }
}

// A merge across the border x|U+2581 would make a token that contains "x U+2581": where no token does, words can be
// cut.
void Bpe::index_marker() {
  for (int32_t id = 0; id < vocabulary_.id_end(); ++id) {
    const std::string_view token = vocabulary_.contains(id) ? vocabulary_.token(id) : "";
    if (token.size() <= kMarkerBytes.size()) continue;
    for (size_t at = token.find(kMarkerBytes, 1); at != token.npos; at = token.find(kMarkerBytes, at + 1)) {
      joined_to_marker_.push_back(unicode::last_before(token.data() + at));
    }
  }
  joined_to_marker_.push_back(kMarker);
  std::sort(joined_to_marker_.begin(), joined_to_marker_.end());
  joined_to_marker_.erase(std::unique(joined_to_marker_.begin(), joined_to_marker_.end()), joined_to_marker_.end());
}

// Unknown characters are left alone: what they become depends on their neighbours.
bool Bpe::may_cut_after(char32_t c) const {
  return find_character(c) != Vocabulary::kNoToken &&
         !std::binary_search(joined_to_marker_.begin(), joined_to_marker_.end(), c);
}

void Bpe::encode_word(std::string_view word, const char* text_end, BpeInput input, Scratch& scratch,
                      std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  if (input == BpeInput::kBytes || options_.ignore_merges) return encode_cached(word, text_end, input, scratch, ids);
  size_t begin = 0;
  for (size_t at = word.find(kMarkerBytes, 1); at < word.size(); at = word.find(kMarkerBytes, at + 1)) {
    if (!may_cut_after(unicode::last_before(word.data() + at))) continue;
    encode_cached(word.substr(begin, at - begin), text_end, input, scratch, ids);
    begin = at;
  }
  encode_cached(word.substr(begin), text_end, input, scratch, ids);
}

void Bpe::encode_cached(std::string_view word, const char* text_end, BpeInput input, Scratch& scratch,
                        std::vector<int32_t>& ids) const {
  if (word.size() > WordCache::kMaxWordBytes) return encode_uncached(word, input, scratch, ids);
  const auto key = WordCache::make_key(word.data(), word.size(), text_end - word.data() >= 32);
  if (const WordCache::Line* line = scratch.cache.find(key)) {
    for (const int32_t id : line->ids) {
      if (id < 0) break;
      ids.push_back(id);
    }
    return;
  }
  const size_t size_before = ids.size();
  encode_uncached(word, input, scratch, ids);
  scratch.cache.store(key, std::span(ids).subspan(size_before));
}

void Bpe::encode_uncached(std::string_view word, BpeInput input, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  if (options_.ignore_merges) {
    std::string_view characters = word;
    if (input == BpeInput::kBytes) {
      scratch.characters.clear();
      append_byte_alphabet(scratch.characters, word);
      characters = scratch.characters;
    }
    const int32_t whole = vocabulary_.find(characters);
    if (whole != Vocabulary::kNoToken) return ids.push_back(whole);
  }
  std::vector<int32_t>& symbols = scratch.merge.ids;
  symbols.clear();
  if (input == BpeInput::kBytes) {
    for (const char byte : word) symbols.push_back(alphabet_ids_[static_cast<uint8_t>(byte)]);
  } else {
    append_symbols(word, symbols);
  }
  merge_word(merges_, scratch.merge);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

// Follows the original to the letter: a pending unknown character is written late, after byte tokens that follow it.
void Bpe::append_symbols(std::string_view word, std::vector<int32_t>& symbols) const {
  bool unk_pending = false;
  const char* const end = word.data() + word.size();
  for (const char* p = word.data(); p < end;) {
    const char* const start = p;
    const int32_t id = find_character(unicode::decode(p));
    if (id != Vocabulary::kNoToken) {
      if (unk_pending) symbols.push_back(unk_id());
      unk_pending = false;
      symbols.push_back(id);
      continue;
    }
    if (options_.byte_fallback && append_byte_tokens({start, p}, symbols)) continue;
    if (options_.unk_token.empty()) continue;
    if (unk_pending && !options_.fuse_unk) symbols.push_back(unk_id());
    unk_pending = true;
  }
  if (unk_pending) symbols.push_back(unk_id());
}

bool Bpe::append_byte_tokens(std::string_view character, std::vector<int32_t>& symbols) const {
  const auto token = [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)]; };
  const auto is_missing = [&](char byte) { return token(byte) == Vocabulary::kNoToken; };
  if (std::any_of(character.begin(), character.end(), is_missing)) return false;
  std::transform(character.begin(), character.end(), std::back_inserter(symbols), token);
  return true;
}

int32_t Bpe::unk_id() const {
  const int32_t id = vocabulary_.find(options_.unk_token);
  if (id != Vocabulary::kNoToken) return id;
  throw DataError(
      fmt::format("{}: model.unk_token: expected a token of the vocabulary, found \"{}\"; the text has a "
                  "character that needs it",
                  place_, options_.unk_token));
}

}  // namespace speculators
