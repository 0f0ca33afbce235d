#include "data/conversation.h"

#include <fmt/format.h>

#include "data/row_source.h"

namespace speculators {
namespace {

std::string role_of(const std::string& role, RowWarnings& warnings) {
  if (role == "human" || role == "user") return "user";
  if (role == "gpt" || role == "assistant") return "assistant";
  if (role == "system" || role == "tool") return role;
  // Names of models, say: whoever is not known here answered.
  if (warnings.num_unknown_roles++ == 0) warnings.first_unknown_role = role;
  return "assistant";
}

Json parse_part(const Json& part, const std::string& place) {
  if (part.is_string()) return {{"type", "text"}, {"text", part}};
  const std::string type = part.is_object() && part.contains("type") && part["type"].is_string() ? part["type"] : "";
  if (type != "text" || !part.contains("text") || !part["text"].is_string()) {
    throw RowError(
        fmt::format("{}: content: expected text parts, found {}; "
                    "images, audio and video are not supported",
                    place, type.empty() ? part.dump().substr(0, 40) : "a part of type '" + type + "'"));
  }
  return {{"type", "text"}, {"text", part["text"]}};
}

Json parse_content(const Json& content, const std::string& place) {
  if (content.is_null()) return "";
  if (content.is_string()) return content;
  if (!content.is_array()) throw RowError(fmt::format("{}: content: expected text or a list of parts", place));
  Json parts = Json::array();
  for (const Json& part : content) parts.push_back(parse_part(part, place));
  return parts;
}

// OpenAI's format carries the arguments as JSON text; templates expect the
// value, and chat servers hand them that.
void parse_arguments(Json& call) {
  Json* holder = call.is_object() && call.contains("function") ? &call["function"] : &call;
  if (!holder->is_object() || !holder->contains("arguments")) return;
  Json& arguments = (*holder)["arguments"];
  if (!arguments.is_string()) return;
  Json parsed = Json::parse(arguments.get_ref<const std::string&>(), nullptr,
                            /*allow_exceptions=*/false);
  if (parsed.is_object() || parsed.is_array()) arguments = std::move(parsed);
}

bool has_value(const Json& turn, const char* key) {
  const auto found = turn.find(key);
  return found != turn.end() && !found->is_null() &&
         !(found->is_string() && found->get_ref<const std::string&>().empty());
}

const Json& first_of(const Json& turn, const char* first, const char* second) {
  static const Json nothing;
  if (has_value(turn, first)) return turn[first];
  return turn.contains(second) ? turn[second] : nothing;
}

Json parse_turn(const Json& turn, const std::string& place, RowWarnings& warnings) {
  if (!turn.is_object()) throw RowError(fmt::format("{}: expected an object with role and content", place));
  const Json& role = first_of(turn, "from", "role");
  if (!role.is_string()) throw RowError(fmt::format("{}: role: expected text", place));
  Json message = {{"role", role_of(role, warnings)},
                  {"content", parse_content(first_of(turn, "value", "content"), place)}};
  if (has_value(turn, "tool_calls") && turn["tool_calls"].is_array() && !turn["tool_calls"].empty()) {
    message["tool_calls"] = turn["tool_calls"];
    for (Json& call : message["tool_calls"]) parse_arguments(call);
  }
  for (const char* key : {"tool_call_id", "name"}) {
    if (has_value(turn, key)) message[key] = turn[key];
  }
  const Json& reasoning = first_of(turn, "thinking", "reasoning_content");
  if (reasoning.is_string() && !reasoning.get_ref<const std::string&>().empty()) {
    message["thinking"] = reasoning;  // templates read one name or the other
    message["reasoning_content"] = reasoning;
  }
  return message;
}

std::vector<Json> parse_turns(const Json& turns, const std::string& place, RowWarnings& warnings) {
  if (!turns.is_array() || turns.empty()) throw RowError(fmt::format("{}: expected a list of turns", place));
  std::vector<Json> messages;
  for (size_t i = 0; i < turns.size(); ++i) {
    messages.push_back(parse_turn(turns[i], fmt::format("{}: turn {}", place, i), warnings));
  }
  return messages;
}

std::optional<Json> parse_tools(const Json& row, RowWarnings& warnings) {
  const auto found = row.find("tools");
  if (found == row.end() || found->is_null() || *found == Json("")) return std::nullopt;
  Json tools = *found;
  if (tools.is_string())
    tools = Json::parse(found->get<std::string>(), nullptr,
                        /*allow_exceptions=*/false);
  if (tools.is_array()) return tools.empty() ? std::nullopt : std::optional(std::move(tools));
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
    throw DataError(fmt::format("{}: loss_mask: expected {} values as in input_ids, found {}", object.place(),
                                ids.size(), mask.size()));
  }
  TokenisedRow result{.id = row_id(row), .sample = {}};
  result.sample.token_ids.reserve(ids.size());
  result.sample.loss_mask.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] > INT32_MAX || (mask[i] != 0 && mask[i] != 1)) {
      throw DataError(
          fmt::format("{}: position {}: expected an id >= 0 and a "
                      "mask of 0 or 1, found {} and {}",
                      object.place(), i, ids[i], mask[i]));
    }
    result.sample.token_ids.push_back(static_cast<int32_t>(ids[i]));
    result.sample.loss_mask.push_back(static_cast<uint8_t>(mask[i]));
  }
  return result;
}

}  // namespace

void RowWarnings::add(const RowWarnings& other) {
  if (num_unknown_roles == 0) first_unknown_role = other.first_unknown_role;
  num_unknown_roles += other.num_unknown_roles;
  num_invalid_tools += other.num_invalid_tools;
}

std::string row_hash(const Json& row) {
  const std::string text = nlohmann::json(row).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return fmt::format("{:016x}", hash);
}

DataRow parse_row(const Json& row, const std::string& place, RowWarnings& warnings) {
  const JsonObject object(row, place);
  if (object.has("input_ids")) return parse_tokenised(row, object);
  Conversation conversation{
      .id = row_id(row), .kind = row_kind(row), .messages = {}, .tools = parse_tools(row, warnings)};
  for (const char* key : {"conversations", "messages", "prompt"}) {
    if (!row.contains(key)) continue;
    if (std::string_view(key) == "prompt" && row[key].is_string()) {
      conversation.messages = {Json{{"role", "user"}, {"content", row[key]}}};
    } else {
      conversation.messages = parse_turns(row[key], fmt::format("{}: {}", place, key), warnings);
    }
    return conversation;
  }
  throw DataError(
      fmt::format("{}: expected one of `conversations`, `messages`, `prompt`, "
                  "or `input_ids` with `loss_mask`",
                  place));
}

void read_rows(const fs::path& source, RowWarnings& warnings, const std::function<void(DataRow)>& take) {
  const RowSource rows(source);
  for (size_t i = 0; i < rows.size(); ++i) take(rows.read(i, warnings));
}

void join_text_parts(std::vector<Json>& messages) {
  for (Json& message : messages) {
    Json& content = message["content"];
    if (!content.is_array()) continue;
    std::string text;
    for (size_t i = 0; i < content.size(); ++i) {
      text += (i > 0 ? "\n" : "") + content[i]["text"].get_ref<const std::string&>();
    }
    content = std::move(text);
  }
}

}  // namespace speculators
