// The only file that includes CLI11.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <new>
#include <system_error>

#include "base/errors.h"
#include "base/nearest.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/config_file.h"
#include "cli/option_value.h"

namespace speculators {
namespace {

// Help of one option: its text, then the default in brackets.
std::string help_text(const Option& option) {
  const auto texts = option_texts(option);
  if (texts.empty() || texts.front().empty()) return option.help;
  return fmt::format("{} [{}]", option.help, fmt::join(texts, " "));
}

CLI::Option* add_option(CLI::App& app, Option& option) {
  if (is_flag(option)) {
    return app.add_flag_function(
        fmt::format("--{0},!--no-{0}", option.name),
        [&option](int64_t count) { set_option(option, {count > 0 ? "true" : "false"}); }, help_text(option));
  }
  auto* added = app.add_option(
      "--" + option.name,
      [&option](const std::vector<std::string>& texts) {
        set_option(option, texts);
        return true;
      },
      help_text(option));
  added->type_name(type_name(option));
  if (is_list(option)) added->expected(1, 1 << 20)->type_name(type_name(option) + " ...");
  return added;
}

[[noreturn]] void unknown_argument(std::string_view command, const std::string& argument, const OptionList& options) {
  std::vector<std::string> known = {"--config", "--dump-config", "--help"};
  for (const Option& option : options.items) known.push_back("--" + option.name);
  const std::string name = argument.substr(0, argument.find('='));
  throw UsageError(fmt::format("{}: unknown argument '{}'{} (speculators {} --help lists all)", command, argument,
                               did_you_mean(name, known), command));
}

// A message on one line: the parts of a list follow each other, and bytes of a damaged file cannot move the cursor.
std::string one_line(std::string_view text) {
  std::string line;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '\n') {
      line += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
      continue;
    }
    i = std::min(text.find_first_not_of("\n ", i), text.size()) - 1;
    if (i + 1 < text.size()) line += line.ends_with(':') || line.ends_with(';') || line.ends_with('?') ? " " : "; ";
  }
  return line;
}

}  // namespace

Parsed parse_options(const CommandText& text, OptionList& options, std::span<const std::string> arguments) {
  CLI::App app(fmt::format("{}{}{}", text.summary, text.details.empty() ? "" : "\n\n", text.details),
               fmt::format("speculators {}", text.name));
  app.allow_extras();
  std::string config;
  bool dump = false;
  for (Option& option : options.items) add_option(app, option);
  app.add_option("--config", config, "YAML or JSON file of options; flags win over it");
  app.add_flag("--dump-config", dump, "print all options as YAML and stop");
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return Parsed::kDone;
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{}: {}", text.name, error.what()));
  }
  if (const auto extras = app.remaining(); !extras.empty()) unknown_argument(text.name, extras.front(), options);
  if (!config.empty()) apply_config_file(config, text.name, options);
  if (!dump) return Parsed::kRun;
  fmt::print("{}", dump_config(text.name, options, /*only_set=*/false));
  return Parsed::kDone;
}

int run_guarded(int (*action)(std::span<const std::string>), std::span<const std::string> arguments) {
  const auto report = [](const char* kind, const char* what) {
    fmt::print(stderr, "speculators: {}{}\n", kind, one_line(what));
  };
  try {
    const int code = action(arguments);
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "stdout: cannot write");
    return code;
  } catch (const UsageError& error) {
    report("", error.what());
    return 2;
  } catch (const DataError& error) {
    report("", error.what());
    return 1;
  } catch (const ShapeError& error) {
    report("", error.what());
    return 1;
  } catch (const Interrupted& error) {
    report("", error.what());
    return 130;
  } catch (const std::filesystem::filesystem_error& error) {
    const std::string text =
        fmt::format("{}: cannot use this path: {}", error.path1().string(), error.code().message());
    report("", text.c_str());
    return 1;
  } catch (const std::system_error& error) {
    report("", error.what());
    return 1;
  } catch (const std::bad_alloc&) {
    report("", "memory: expected enough for this run, found too little; take smaller sizes or a larger machine");
    return 1;
  } catch (const std::exception& error) {
    report("this is a bug, please report it: ", error.what());
    return 70;
  }
}

int run_command_line(std::span<const Command> commands, std::span<const std::string> arguments) {
  const auto print_help = [&] {
    fmt::print(
        "speculators {}: from prompts to a served, measured speculator\n\nUsage: speculators COMMAND [OPTIONS]\n\n",
        kVersion);
    for (const Command& command : commands) fmt::print("  {:<24}{}\n", command.name, command.summary);
    fmt::print("\n`speculators COMMAND --help` lists the options of a command; `--version` prints the version.\n");
  };
  if (arguments.empty()) {
    print_help();
    return 2;
  }
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") return print_help(), 0;
  if (name == "--version") return fmt::print("speculators {}\n", kVersion), 0;
  for (const Command& command : commands) {
    if (command.name == name) return run_guarded(command.run, arguments.subspan(1));
  }
  std::vector<std::string> known;
  for (const Command& command : commands) known.emplace_back(command.name);
  fmt::print(stderr, "speculators: unknown command '{}'{} (speculators --help lists all)\n", name,
             did_you_mean(name, known));
  return 2;
}

}  // namespace speculators
