#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/files.h"

namespace speculators {
namespace {

std::string line_and_column(std::string_view text, size_t byte) {
  const auto before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto newline = before.rfind('\n');
  const auto column = newline == std::string_view::npos ? before.size() : before.size() - newline - 1;
  return fmt::format("line {}, column {}", line, column);
}

std::string shorten(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view place) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const char* cause = text.empty() ? "the text is empty" : "is the file complete?";
    throw DataError(fmt::format("{}: {}: expected valid JSON; {}", place, line_and_column(text, error.byte), cause));
  }
}

Json read_json(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

void write_json(const std::filesystem::path& path, const Json& value) { write_file(path, value.dump(2) + "\n"); }

JsonObject::JsonObject(const Json& value, std::string place) : value_(&value), place_(std::move(place)) {
  if (!value.is_object()) throw DataError(fmt::format("{}: expected a JSON object, found {}", place_, shorten(value)));
}

const Json* JsonObject::find(std::string_view key) const {
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

void JsonObject::fail(std::string_view key, std::string_view expected) const {
  const Json* found = find(key);
  throw DataError(
      fmt::format("{}: {}: expected {}, found {}", place_, key, expected, found ? shorten(*found) : "nothing"));
}

bool JsonObject::has(std::string_view key) const { return find(key) != nullptr; }

std::optional<std::string> JsonObject::find_string(std::string_view key) const {
  const Json* found = find(key);
  if (!found) return std::nullopt;
  if (!found->is_string()) fail(key, "a string");
  return found->get<std::string>();
}

std::optional<int64_t> JsonObject::find_int(std::string_view key) const {
  const Json* found = find(key);
  if (!found) return std::nullopt;
  if (!found->is_number_integer()) fail(key, "an integer");
  return found->get<int64_t>();
}

std::optional<double> JsonObject::find_double(std::string_view key) const {
  const Json* found = find(key);
  if (!found) return std::nullopt;
  if (!found->is_number()) fail(key, "a number");
  return found->get<double>();
}

std::optional<bool> JsonObject::find_bool(std::string_view key) const {
  const Json* found = find(key);
  if (!found) return std::nullopt;
  if (!found->is_boolean()) fail(key, "true or false");
  return found->get<bool>();
}

std::optional<std::vector<int64_t>> JsonObject::find_ints(std::string_view key) const {
  const Json* found = find(key);
  if (!found) return std::nullopt;
  if (!found->is_array()) fail(key, "a list of integers");
  std::vector<int64_t> values;
  for (const Json& item : *found) {
    if (!item.is_number_integer()) fail(key, "a list of integers");
    values.push_back(item.get<int64_t>());
  }
  return values;
}

std::optional<std::vector<std::string>> JsonObject::find_strings(std::string_view key) const {
  const Json* found = find(key);
  if (!found) return std::nullopt;
  if (!found->is_array()) fail(key, "a list of strings");
  std::vector<std::string> values;
  for (const Json& item : *found) {
    if (!item.is_string()) fail(key, "a list of strings");
    values.push_back(item.get<std::string>());
  }
  return values;
}

std::optional<JsonObject> JsonObject::find_object(std::string_view key) const {
  const Json* found = find(key);
  if (!found) return std::nullopt;
  if (!found->is_object()) fail(key, "an object");
  return JsonObject(*found, fmt::format("{}: {}", place_, key));
}

std::string JsonObject::get_string(std::string_view key) const {
  if (auto found = find_string(key)) return *found;
  fail(key, "a string");
}
int64_t JsonObject::get_int(std::string_view key) const {
  if (auto found = find_int(key)) return *found;
  fail(key, "an integer");
}
double JsonObject::get_double(std::string_view key) const {
  if (auto found = find_double(key)) return *found;
  fail(key, "a number");
}
bool JsonObject::get_bool(std::string_view key) const {
  if (auto found = find_bool(key)) return *found;
  fail(key, "true or false");
}
std::vector<int64_t> JsonObject::get_ints(std::string_view key) const {
  if (auto found = find_ints(key)) return *found;
  fail(key, "a list of integers");
}
std::vector<std::string> JsonObject::get_strings(std::string_view key) const {
  if (auto found = find_strings(key)) return *found;
  fail(key, "a list of strings");
}
JsonObject JsonObject::get_object(std::string_view key) const {
  if (auto found = find_object(key)) return *found;
  fail(key, "an object");
}

}  // namespace speculators
