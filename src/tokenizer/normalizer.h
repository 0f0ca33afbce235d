// The "normalizer" of tokenizer.json: NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, ByteLevel, Sequence.
// Unicode normalisation is utf8proc's, held back to the characters that the `tokenizers` package knows.
// Const methods may run on many threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace speculators {

class Normalizer {
 public:
  // Reused between calls so that nothing is allocated in steady state.
  struct Buffers {
    std::string current;
    std::string next;
    // Whether the normal form begins with what the text begins with; false where a step cut that off. (Characters that
    // an earlier step made out of the first one count as cut off too.)
    bool keeps_start = true;
  };

  Normalizer() = default;  // changes nothing
  // `value` is the JSON of the part, null for none. Throws DataError naming `place` and the part it does not know.
  static Normalizer parse(const Json& value, const std::string& place);

  bool empty() const { return steps_.empty(); }
  // The normal form of valid UTF-8. The view points to `text` when nothing changed, else into `buffers`.
  std::string_view apply(std::string_view text, Buffers& buffers) const;
  std::string apply(std::string_view text) const;

  struct Step;  // one transformation; defined in normalizer.cpp

 private:
  void append_steps(const Json& value, const std::string& place);
  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace speculators
