// The "post_processor" of tokenizer.json: the special tokens around one sequence (bos and the like).
// TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (which only moves offsets) and Sequence. Const
// methods are thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace speculators {

class PostProcessor {
 public:
  PostProcessor() = default;  // adds nothing
  // Throws DataError naming `place` and the part it does not know.
  static PostProcessor parse(const Json& value, const std::string& place);

  // The template applied to `ids`; without special tokens only the sequence itself is placed.
  std::vector<int32_t> apply(std::vector<int32_t> ids, bool add_special_tokens) const;

 private:
  struct Element {
    bool is_sequence;
    std::vector<int32_t> ids;
  };
  void append(const Json& value, const std::string& place);
  void read_template(const Json& value, const std::string& place);
  void read_frame(const Json& value, const std::string& place);

  bool has_template_ = false;
  std::vector<Element> elements_;
};

}  // namespace speculators
