#include "cli/option_value.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <type_traits>

#include "base/errors.h"

namespace speculators {
namespace {

template <class T>
struct FieldTraits {
  using Value = T;
  static constexpr bool kList = false;
};
template <class T>
struct FieldTraits<std::optional<T>> : FieldTraits<T> {};
template <class T>
struct FieldTraits<std::vector<T>> {
  using Value = T;
  static constexpr bool kList = true;
};

template <class Value>
constexpr const char* kTypeName = "TEXT";
template <>
constexpr const char* kTypeName<int64_t> = "INT";
template <>
constexpr const char* kTypeName<double> = "FLOAT";
template <>
constexpr const char* kTypeName<bool> = "BOOL";

[[noreturn]] void fail(const Option& option, const char* expected, const std::string& text) {
  throw UsageError(fmt::format("--{}: expected {}, found '{}'", option.name, expected, text));
}

template <class Value>
Value parse_value(const Option& option, const std::string& text) {
  if constexpr (std::is_same_v<Value, std::string>) {
    return text;
  } else if constexpr (std::is_same_v<Value, bool>) {
    if (text == "true" || text == "True" || text == "1" || text == "yes" || text == "on") return true;
    if (text == "false" || text == "False" || text == "0" || text == "no" || text == "off") return false;
    fail(option, "true or false", text);
  } else {
    Value value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      fail(option, std::is_same_v<Value, double> ? "a number" : "a whole number", text);
    }
    if constexpr (std::is_same_v<Value, double>) {
      if (!std::isfinite(value)) fail(option, "a finite number", text);
    }
    return value;
  }
}

template <class Value>
std::string value_text(const Value& value) {
  return fmt::format("{}", value);
}

}  // namespace

void set_option(Option& option, const std::vector<std::string>& texts) {
  // Only plain texts have an empty default; everywhere else an empty text is a variable that was not set.
  const bool may_be_empty = std::holds_alternative<std::string*>(option.field);
  for (const std::string& text : texts) {
    if (text.empty() && !may_be_empty) fail(option, "a value", text);
  }
  std::visit(
      [&](auto* field) {
        using Field = std::remove_pointer_t<decltype(field)>;
        using Value = typename FieldTraits<Field>::Value;
        if constexpr (FieldTraits<Field>::kList) {
          Field values;
          for (const std::string& text : texts) values.push_back(parse_value<Value>(option, text));
          *field = std::move(values);
        } else {
          if (texts.size() != 1) {
            throw UsageError(fmt::format("--{}: expected one value, found {}", option.name, texts.size()));
          }
          *field = parse_value<Value>(option, texts.front());
        }
      },
      option.field);
  option.was_set = true;
}

std::vector<std::string> option_texts(const Option& option) {
  return std::visit(
      [&](const auto* field) -> std::vector<std::string> {
        using Field = std::remove_cv_t<std::remove_pointer_t<decltype(field)>>;
        std::vector<std::string> texts;
        if constexpr (FieldTraits<Field>::kList) {
          for (const auto& value : *field) texts.push_back(value_text(value));
        } else if constexpr (std::is_same_v<Field, typename FieldTraits<Field>::Value>) {
          texts.push_back(value_text(*field));
        } else if (field->has_value()) {
          texts.push_back(value_text(**field));
        }
        return texts;
      },
      option.field);
}

bool is_list(const Option& option) {
  return std::visit([](auto* field) { return FieldTraits<std::remove_pointer_t<decltype(field)>>::kList; },
                    option.field);
}

bool is_flag(const Option& option) { return type_name(option) == "BOOL"; }

std::string type_name(const Option& option) {
  return std::visit(
      [](auto* field) -> std::string {
        return kTypeName<typename FieldTraits<std::remove_pointer_t<decltype(field)>>::Value>;
      },
      option.field);
}

}  // namespace speculators
