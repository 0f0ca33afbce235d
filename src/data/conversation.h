// Rows going into the pipeline, in every form that the field uses (reference
// pipeline.md 2.1): conversations with role/content or from/value turns,
// prompts, and rows that are tokenised already. Reading files: row_source.h.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/errors.h"
#include "base/files.h"
#include "base/json.h"
#include "data/sample.h"

namespace speculators {

// A conversation in chat form: `messages` is a list of {"role", "content", ...}
// with roles system, user, assistant, tool. `content` is text, or a list of
// {"type": "text", "text"} parts. Arguments of tool calls are JSON values, not
// JSON text.
struct Conversation {
  std::string id;    // row `id`, else `uuid`, else a hash of the row
  std::string kind;  // row `kind` or `category`; may be empty
  std::vector<Json> messages;
  std::optional<Json> tools;
};

// A row that is tokenised already (speculator rows, regenerated rows).
struct TokenisedRow {
  std::string id;
  Sample sample;
};

using DataRow = std::variant<Conversation, TokenisedRow>;

// One row that cannot be used, in a file that is in order: a turn of an odd
// shape, images, no turn at all. prepare-data leaves such rows out and counts
// them; any other DataError stops it.
struct RowError : DataError {
  using DataError::DataError;
};

// What the reader had to mend.
struct RowWarnings {
  int64_t num_unknown_roles = 0;  // became assistant
  std::string first_unknown_role;
  int64_t num_invalid_tools = 0;  // not JSON; left out
  void add(const RowWarnings& other);
};

// Understands `conversations` or `messages` (role/content or from/value),
// `prompt` (text or list of messages), and `input_ids` + `loss_mask`. Throws
// RowError for conversations it cannot use, and DataError for anything else:
// other keys, masks of another length. Messages start with `place`.
DataRow parse_row(const Json& row, const std::string& place, RowWarnings& warnings);

// Calls `take` for every row of a .jsonl or .json file (a list), or of every
// such file below a folder, sorted by path.
void read_rows(const fs::path& source, RowWarnings& warnings, const std::function<void(DataRow)>& take);

// Joins the text parts of every message with line breaks, for templates that
// expect `content` to be text.
void join_text_parts(std::vector<Json>& messages);

// 16 hex digits of FNV-1a over the canonical JSON (sorted keys): names rows
// that have no id.
std::string row_hash(const Json& row);

}  // namespace speculators
