// Options declared once: a struct has `template <class Visitor> void options(Visitor&& option)` that lists
// option("flag-name", field, "help"). Parsing, --help, --config, --dump-config and run.yaml all walk that list.
// Precedence: flag > config file > default. The field's value at construction is the default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace speculators {

// Where an option's value lives. optional<...> fields start unset and print nothing in --help.
using OptionField =
    std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*, std::vector<int64_t>*,
                 std::optional<bool>*, std::optional<int64_t>*, std::optional<double>*, std::optional<std::string>*>;

// One declared option. `was_set` tells whether a flag or a config file gave the value.
struct Option {
  std::string name;  // without dashes; a bool also takes --no-<name>
  OptionField field;
  std::string help;
  bool was_set = false;
};

// The visitor that collects the list.
struct OptionList {
  std::vector<Option> items;
  template <class Field>
  void operator()(std::string name, Field& field, std::string help) {
    items.push_back({std::move(name), OptionField(&field), std::move(help)});
  }
};

template <class Command>
OptionList list_options(Command& command) {
  OptionList list;
  command.options(list);
  return list;
}

}  // namespace speculators
