// Text <-> token ids as a Hugging Face `tokenizer.json` says: byte-level BPE (and its kin), pre-tokenizer, normalizer,
// added and special tokens. Checked id by id against the `tokenizers` package. Const methods may run on many threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace speculators {

class DecoderRun;

class Tokenizer {
 public:
  // Reads `folder/tokenizer.json` (and special tokens of tokenizer_config.json). Throws DataError for damage and for
  // parts it does not know, naming them.
  static Tokenizer load(const fs::path& folder);
  static Tokenizer parse(std::string_view tokenizer_json, const std::string& place);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Special tokens inside the text are recognised, as Hugging Face does. `add_special_tokens` runs the post-processor
  // (bos and the like); chat templates write their own, so they pass false.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = false) const;
  std::string decode(std::span<const int32_t> token_ids, bool skip_special_tokens = false) const;

  int64_t vocab_size() const;  // highest id + 1, added tokens included
  std::optional<int32_t> find_id(std::string_view token) const;
  std::string token(int32_t id) const;  // as written in tokenizer.json; throws UsageError outside the vocabulary
  bool is_special(int32_t id) const;
  // From tokenizer_config.json, when it names them.
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> pad_id() const;
  std::optional<int32_t> mask_id() const;
  std::optional<int32_t> unk_id() const;

  // The bytes one token stands for (streaming decode builds on it).
  std::string token_bytes(int32_t id) const;

 private:
  friend class StreamDecoder;
  struct Model;
  explicit Tokenizer(std::unique_ptr<Model> model);
  std::unique_ptr<Model> model_;
};

// Decodes token by token for streams: returns only whole UTF-8 characters and keeps the rest for the next token.
// The concatenation of all pieces equals Tokenizer::decode of all ids.
// A run of <0xNN> tokens (SentencePiece's byte fallback) comes out when it ends: a bad byte spoils the whole run.
// The tokenizer must outlive it (moving the tokenizer is fine). For one thread.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true);
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ~StreamDecoder();
  std::string push(int32_t id);
  std::string finish();  // what is left, invalid bytes as U+FFFD; the decoder starts anew

 private:
  const Tokenizer::Model* model_;
  bool skip_special_tokens_;
  std::unique_ptr<DecoderRun> run_;
};

}  // namespace speculators
