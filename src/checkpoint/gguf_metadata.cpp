#include <fmt/format.h>

#include "base/errors.h"
#include "checkpoint/gguf.h"

namespace speculators {

template <class Value>
const Value* GgufMetadata::find(std::string_view key, std::string_view expected) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return nullptr;
  const Value* value = std::get_if<Value>(&found->second);
  if (!value) throw DataError(fmt::format("{}: {}: expected {}, found another type", place_, key, expected));
  return value;
}

void GgufMetadata::fail_missing(std::string_view key, std::string_view expected) const {
  throw DataError(fmt::format("{}: {}: expected {}, found nothing", place_, key, expected));
}

std::optional<std::string> GgufMetadata::find_string(std::string_view key) const {
  const auto* value = find<std::string>(key, "a string");
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<int64_t> GgufMetadata::find_int(std::string_view key) const {
  const auto* value = find<int64_t>(key, "an integer");
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<double> GgufMetadata::find_double(std::string_view key) const {
  const auto* value = find<double>(key, "a number with a fraction");
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<bool> GgufMetadata::find_bool(std::string_view key) const {
  const auto* value = find<bool>(key, "true or false");
  return value ? std::optional(*value) : std::nullopt;
}

std::string GgufMetadata::get_string(std::string_view key) const {
  if (const auto value = find_string(key)) return *value;
  fail_missing(key, "a string");
}

int64_t GgufMetadata::get_int(std::string_view key) const {
  if (const auto value = find_int(key)) return *value;
  fail_missing(key, "an integer");
}

double GgufMetadata::get_double(std::string_view key) const {
  if (const auto value = find_double(key)) return *value;
  fail_missing(key, "a number with a fraction");
}

std::vector<std::string> GgufMetadata::get_strings(std::string_view key) const {
  if (const auto* value = find<std::vector<std::string>>(key, "a list of strings")) return *value;
  fail_missing(key, "a list of strings");
}

std::vector<int64_t> GgufMetadata::get_ints(std::string_view key) const {
  if (const auto* value = find<std::vector<int64_t>>(key, "a list of integers")) return *value;
  fail_missing(key, "a list of integers");
}

}  // namespace speculators
