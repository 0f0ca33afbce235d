// The BPE model of tokenizer.json: words -> token ids. A word's initial symbols are its characters, or its bytes in
// GPT-2's byte alphabet; merges then join them. Const methods may run on many threads, each with its own Scratch.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_cache.h"
#include "tokenizer/bpe_merges.h"
#include "tokenizer/bpe_vocabulary.h"

namespace speculators {

struct BpeOptions {
  std::string unk_token;       // empty: characters outside the vocabulary vanish
  bool fuse_unk = false;       // neighbouring unknown characters become one unk_token
  bool byte_fallback = false;  // characters outside the vocabulary become <0xNN> tokens
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
};

// What a word consists of: characters of valid UTF-8, or raw bytes that stand for characters of the byte alphabet.
enum class BpeInput { kCharacters, kBytes };

class Bpe {
 public:
  struct Scratch {
    MergeScratch merge;
    WordCache cache;
    std::string characters;
  };

  // `place` names the file in errors at encoding time (an unk_token that is needed but not in the vocabulary).
  Bpe(Vocabulary vocabulary, MergeTable merges, BpeOptions options, std::string place);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  // Whether every byte's character is a token: only then may words be given as BpeInput::kBytes.
  bool has_byte_alphabet() const { return has_byte_alphabet_; }

  // Appends the ids of `word`, which lies within a text that ends at `text_end`.
  void encode_word(std::string_view word, const char* text_end, BpeInput input, Scratch& scratch,
                   std::vector<int32_t>& ids) const;
  // The same without the cache and without cutting long words.
  void encode_uncached(std::string_view word, BpeInput input, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  void encode_cached(std::string_view word, const char* text_end, BpeInput input, Scratch& scratch,
                     std::vector<int32_t>& ids) const;
  void append_symbols(std::string_view word, std::vector<int32_t>& symbols) const;
  bool append_byte_tokens(std::string_view character, std::vector<int32_t>& symbols) const;
  int32_t unk_id() const;
  int32_t find_character(char32_t c) const {
    return c < character_ids_.size() ? character_ids_[c] : Vocabulary::kNoToken;
  }
  bool may_cut_after(char32_t c) const;
  void index_characters();
  void index_marker();

  Vocabulary vocabulary_;
  MergeTable merges_;
  BpeOptions options_;
  std::string place_;
  bool has_byte_alphabet_ = false;
  std::array<int32_t, 256> alphabet_ids_{};  // the token of each byte's alphabet character
  std::array<int32_t, 256> byte_tokens_{};   // <0x00> ... <0xFF>
  std::vector<int32_t> character_ids_;       // by code point
  std::vector<char32_t> joined_to_marker_;   // sorted: characters that stand before U+2581 inside some token
};

}  // namespace speculators
