// Renders and tokenises rows on several threads; results keep the order of the
// rows. The middle of prepare-data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/loss_mask.h"
#include "data/prepare_data.h"
#include "data/row_source.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace speculators {

// A sample and the id of the tokenised row it came from (empty for rendered
// ones).
struct PreparedRow {
  Sample sample;
  std::string id;
  bool clipped = false;
};

int64_t num_supervised(const Sample& sample);

class RowPreparer {
 public:
  // Loads the tokenizer; the chat template only once a conversation asks for
  // it. Throws DataError and UsageError.
  explicit RowPreparer(const PrepareDataOptions& options);

  // Rows `order` of `source`. Counts go to `report`. Throws the error of the
  // first row that has one; Interrupted when a stop was requested.
  std::vector<PreparedRow> run(const RowSource& source, const std::vector<size_t>& order, PrepareDataReport& report);

  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  struct Result {
    std::vector<PreparedRow> rows;
    MaskCounts mask;
    RowWarnings warnings;
    std::string unusable;  // the reason, when the row cannot be used
  };
  Result prepare(const RowSource& source, size_t index) const;
  PreparedRow prepare(const TokenisedRow& row, MaskCounts& counts) const;
  void load_template();

  const PrepareDataOptions& options_;
  Tokenizer tokenizer_;
  std::optional<ChatTemplate> template_;
  std::string template_error_;  // why there is none
  bool joins_parts_ = true;
  Json variables_;
};

// The sample's text for a terminal: supervised tokens in blue, the rest in
// grey.
std::string coloured_text(const Sample& sample, const Tokenizer& tokenizer);

}  // namespace speculators
