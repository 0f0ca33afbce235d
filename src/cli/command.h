// A subcommand: one row of the table in main.cpp. A command is a struct with options(visitor) and `int run()`;
// run_command<T> turns flags and --config into the struct and runs it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/options.h"

namespace speculators {

struct Command {
  std::string_view name, summary;
  int (*run)(std::span<const std::string> arguments);
};

struct CommandText {
  std::string_view name, summary;
  std::string_view details = "";  // shown after the summary in --help
};

enum class Parsed { kRun, kDone };  // kDone: --help or --dump-config was answered on stdout

// Fills the options from flags, then `--config FILE` (YAML or JSON), then defaults. Throws UsageError for unknown flags
// (with the nearest known ones), bad values and unknown keys of the file.
Parsed parse_options(const CommandText& text, OptionList& options, std::span<const std::string> arguments);

// The values of `options` as YAML under the command's name, as --dump-config prints them and --config reads them.
std::string dump_config(std::string_view command, const OptionList& options, bool only_set);

// Runs `action`, turning errors into one line on stderr and an exit code: 2 usage, 1 data, 130 interrupted, 70 our bug.
int run_guarded(int (*action)(std::span<const std::string>), std::span<const std::string> arguments);

// Looks the command up; `speculators --help`, `--version` and unknown names are answered here.
int run_command_line(std::span<const Command> commands, std::span<const std::string> arguments);

template <class T>
int run_command(std::span<const std::string> arguments) {
  T command;
  OptionList options = list_options(command);
  if (parse_options(T::text(), options, arguments) == Parsed::kDone) return 0;
  if constexpr (requires { command.note_set(options); }) command.note_set(options);
  return command.run();
}

}  // namespace speculators
