// Rows going into the pipeline, in every form that the field uses (reference pipeline.md 2.1), read from .jsonl and .json
// files and folders of them. Errors name file and line.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "data/sample.h"

namespace speculators {

// A conversation in chat form: `messages` is a list of {"role", "content", ...} with roles system, user, assistant, tool.
struct Conversation {
  std::string id;              // row `id`, else `uuid`, else a hash of the row
  std::string kind;            // row `kind` or `category`; may be empty
  std::vector<Json> messages;
  std::optional<Json> tools;
};

// A row that is tokenised already (speculator rows, regenerated rows).
struct TokenisedRow {
  std::string id;
  Sample sample;
};

using DataRow = std::variant<Conversation, TokenisedRow>;

// What the reader had to mend; each is told once.
struct RowWarnings {
  int64_t num_unknown_roles = 0;   // became assistant
  int64_t num_invalid_tools = 0;   // not JSON; left out
};

// Understands `conversations` or `messages` (role/content or from/value), `prompt` (text or list of messages), and
// `input_ids` + `loss_mask`. Throws DataError naming `place` for anything else, and for masks of another length.
DataRow parse_row(const Json& row, const std::string& place, RowWarnings& warnings);

// Calls `take` for every row of a .jsonl or .json file (a list), or of every such file below a folder, sorted by path.
void read_rows(const fs::path& source, RowWarnings& warnings, const std::function<void(DataRow)>& take);

// 16 hex digits of FNV-1a over the canonical JSON (sorted keys): names rows that have no id.
std::string row_hash(const Json& row);

}  // namespace speculators
