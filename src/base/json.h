// JSON with errors that say where: the file, the key path, what was expected and what was found.
// Include <nlohmann/json.hpp> only in .cpp files that build or walk values; headers use the forward header.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace speculators {

// Key order is kept: files that we rewrite stay readable in a diff.
using Json = nlohmann::ordered_json;

// `place` names the text in messages (a path, a request). Throws DataError with line and column.
Json parse_json(std::string_view text, std::string_view place);
Json read_json(const std::filesystem::path& path);
// Indent 2, keys in insertion order, trailing newline; appears whole or not at all.
void write_json(const std::filesystem::path& path, const Json& value);

// Typed reading of one JSON object. `place` is kept for messages: "config.json: rope_parameters.rope_theta: expected
// ...". get_* throw DataError when the key is missing or of another type; find_* return nullopt when missing or null.
class JsonObject {
 public:
  JsonObject(const Json& value, std::string place);  // `value` must outlive it
  JsonObject(Json&& value, std::string place) = delete;
  bool has(std::string_view key) const;  // present and not null
  std::string get_string(std::string_view key) const;
  int64_t get_int(std::string_view key) const;
  double get_double(std::string_view key) const;
  bool get_bool(std::string_view key) const;
  std::vector<int64_t> get_ints(std::string_view key) const;
  std::vector<std::string> get_strings(std::string_view key) const;
  JsonObject get_object(std::string_view key) const;
  std::optional<std::string> find_string(std::string_view key) const;
  std::optional<int64_t> find_int(std::string_view key) const;
  std::optional<double> find_double(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::vector<int64_t>> find_ints(std::string_view key) const;
  std::optional<std::vector<std::string>> find_strings(std::string_view key) const;
  std::optional<JsonObject> find_object(std::string_view key) const;
  const Json& value() const { return *value_; }
  const std::string& place() const { return place_; }

 private:
  const Json* find(std::string_view key) const;
  [[noreturn]] void fail(std::string_view key, std::string_view expected) const;
  const Json* value_;  // not owned
  std::string place_;
};

}  // namespace speculators
