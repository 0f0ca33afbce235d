// The "pre_tokenizer" of tokenizer.json: cuts normalised text into the words that the model encodes one by one.
// Knows ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit and Sequence.
// Const methods may run on many threads, each with its own PreTokenized.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace speculators {

struct Piece {
  size_t begin;
  size_t end;  // bytes; never empty
};

// A text and its pieces, in order. Reused between calls so that nothing is allocated in steady state.
struct PreTokenized {
  std::string_view text;
  std::vector<Piece> pieces;
  bool starts_input = true;  // the text's first byte is the first of the whole input

  // For stages: where the new pieces, or a rewritten text, are built.
  std::vector<Piece> next_pieces;
  std::string storage;
  std::string next_storage;
};

class PreTokenizer {
 public:
  PreTokenizer() = default;  // one piece: the text
  // `value` is the JSON of the part, null for none. `model_takes_bytes` allows a final ByteLevel to leave its words as
  // raw bytes. Throws DataError naming `place` and the part it does not know.
  static PreTokenizer parse(const Json& value, bool model_takes_bytes, const std::string& place);
  // Patterns run through PCRE2 even where a hand-written scanner exists: for tests that compare the two.
  static PreTokenizer parse_without_scanners(const Json& value, bool model_takes_bytes, const std::string& place);

  // True when words are raw bytes of a byte-level vocabulary, false when they are characters.
  bool yields_bytes() const { return yields_bytes_; }

  // `work.text` keeps pointing into `text` or into `work`. `text` is valid UTF-8.
  void split(std::string_view text, bool starts_input, PreTokenized& work) const;

  struct Stage;  // pre_tokenizer_stages.h

 private:
  struct ParseOptions;
  void append_stages(const Json& value, const ParseOptions& options, const std::string& place);
  void append_sequence(const Json& value, const ParseOptions& options, const std::string& place);
  void append_byte_level(const JsonObject& part, const ParseOptions& options);
  std::vector<std::shared_ptr<const Stage>> stages_;
  bool yields_bytes_ = false;
};

}  // namespace speculators
