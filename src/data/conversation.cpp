#include "data/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

std::string role_of(const std::string& role, RowWarnings& warnings) {
  if (role == "human" || role == "user") return "user";
  if (role == "gpt" || role == "assistant") return "assistant";
  if (role == "system" || role == "tool") return role;
  ++warnings.num_unknown_roles;
  return "assistant";
}

Json parse_turn(const Json& turn, const std::string& place, RowWarnings& warnings) {
  const JsonObject object(turn, place);
  const bool old_form = !object.has("role") && object.has("from");
  Json message = Json::object();
  message["role"] = role_of(object.get_string(old_form ? "from" : "role"), warnings);
  const char* content_key = old_form ? "value" : "content";
  message["content"] = turn.contains(content_key) ? turn[content_key] : Json("");
  if (!message["content"].is_string() && !message["content"].is_array() && !message["content"].is_null()) {
    throw DataError(fmt::format("{}: {}: expected text or a list of parts", place, content_key));
  }
  for (const char* key : {"tool_calls", "tool_call_id", "name"}) {
    if (object.has(key)) message[key] = turn[key];
  }
  for (const char* key : {"reasoning_content", "thinking"}) {
    if (!object.has(key)) continue;
    message["reasoning_content"] = turn[key];  // templates read one or the other
    message["thinking"] = turn[key];
  }
  return message;
}

std::vector<Json> parse_turns(const Json& turns, const std::string& place, RowWarnings& warnings) {
  if (!turns.is_array() || turns.empty()) throw DataError(fmt::format("{}: expected a list of turns", place));
  std::vector<Json> messages;
  for (size_t i = 0; i < turns.size(); ++i) {
    messages.push_back(parse_turn(turns[i], fmt::format("{}: turn {}", place, i), warnings));
  }
  return messages;
}

std::optional<Json> parse_tools(const Json& row, RowWarnings& warnings) {
  const auto found = row.find("tools");
  if (found == row.end() || found->is_null()) return std::nullopt;
  if (found->is_array()) return found->empty() ? std::nullopt : std::optional<Json>(*found);
  if (found->is_string()) {
    const Json parsed = Json::parse(found->get<std::string>(), nullptr, /*allow_exceptions=*/false);
    if (parsed.is_array()) return parsed.empty() ? std::nullopt : std::optional<Json>(parsed);
  }
  ++warnings.num_invalid_tools;
  return std::nullopt;
}

std::string row_id(const Json& row) {
  for (const char* key : {"id", "uuid"}) {
    const auto found = row.find(key);
    if (found == row.end() || found->is_null()) continue;
    return found->is_string() ? found->get<std::string>() : found->dump();
  }
  return row_hash(row);
}

std::string row_kind(const Json& row) {
  for (const char* key : {"kind", "category"}) {
    const auto found = row.find(key);
    if (found != row.end() && found->is_string()) return found->get<std::string>();
  }
  return "";
}

TokenisedRow parse_tokenised(const Json& row, const JsonObject& object) {
  const auto ids = object.get_ints("input_ids");
  const auto mask = object.get_ints("loss_mask");
  if (ids.size() != mask.size()) {
    throw DataError(fmt::format("{}: loss_mask: expected {} values as in input_ids, found {}", object.place(), ids.size(), mask.size()));
  }
  TokenisedRow result{.id = row_id(row)};
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] > INT32_MAX || (mask[i] != 0 && mask[i] != 1)) {
      throw DataError(fmt::format("{}: position {}: expected an id >= 0 and a mask of 0 or 1, found {} and {}", object.place(), i, ids[i], mask[i]));
    }
    result.sample.token_ids.push_back(static_cast<int32_t>(ids[i]));
    result.sample.loss_mask.push_back(static_cast<uint8_t>(mask[i]));
  }
  return result;
}

void read_json_lines(const fs::path& path, RowWarnings& warnings, const std::function<void(DataRow)>& take) {
  std::ifstream stream(path);
  if (!stream) throw DataError(fmt::format("{}: cannot open", path.string()));
  int64_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = fmt::format("{}:{}", path.string(), number);
    const Json row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (row.is_discarded()) {
      throw DataError(fmt::format("{}: expected one JSON object a line, found '{}'; is the file complete?", place, line.substr(0, 40)));
    }
    take(parse_row(row, place, warnings));
  }
}

void read_file_rows(const fs::path& path, RowWarnings& warnings, const std::function<void(DataRow)>& take) {
  if (path.extension() == ".jsonl") return read_json_lines(path, warnings, take);
  const Json list = read_json(path);
  if (!list.is_array()) throw DataError(fmt::format("{}: expected a JSON list of rows", path.string()));
  for (size_t i = 0; i < list.size(); ++i) take(parse_row(list[i], fmt::format("{}: row {}", path.string(), i), warnings));
}

}  // namespace

std::string row_hash(const Json& row) {
  const std::string text = nlohmann::json(row).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return fmt::format("{:016x}", hash);
}

DataRow parse_row(const Json& row, const std::string& place, RowWarnings& warnings) {
  const JsonObject object(row, place);
  if (object.has("input_ids")) return parse_tokenised(row, object);
  Conversation conversation{.id = row_id(row), .kind = row_kind(row), .messages = {}, .tools = parse_tools(row, warnings)};
  for (const char* key : {"conversations", "messages", "prompt"}) {
    if (!object.has(key)) continue;
    if (std::string_view(key) == "prompt" && row[key].is_string()) {
      conversation.messages = {Json{{"role", "user"}, {"content", row[key]}}};
    } else {
      conversation.messages = parse_turns(row[key], fmt::format("{}: {}", place, key), warnings);
    }
    return conversation;
  }
  throw DataError(fmt::format("{}: expected one of `conversations`, `messages`, `prompt`, or `input_ids` with `loss_mask`", place));
}

void read_rows(const fs::path& source, RowWarnings& warnings, const std::function<void(DataRow)>& take) {
  if (!fs::exists(source)) throw DataError(fmt::format("{}: no such file or folder", source.string()));
  if (!fs::is_directory(source)) {
    if (source.extension() != ".jsonl" && source.extension() != ".json") {
      throw DataError(fmt::format("{}: expected a .jsonl or .json file, or a folder of them", source.string()));
    }
    return read_file_rows(source, warnings, take);
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(source)) {
    const auto extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".jsonl" || extension == ".json")) files.push_back(entry.path());
  }
  if (files.empty()) throw DataError(fmt::format("{}: expected .jsonl or .json files in the folder, found none", source.string()));
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) read_file_rows(file, warnings, take);
}

}  // namespace speculators
