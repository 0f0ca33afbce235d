#include "cli/config_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/errors.h"
#include "base/files.h"
#include "base/nearest.h"
#include "cli/command.h"
#include "cli/option_value.h"

namespace speculators {
namespace {

std::string option_name(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

std::vector<std::string> scalar_texts(const YAML::Node& node, const std::string& place) {
  std::vector<std::string> texts;
  if (node.IsScalar()) return {node.Scalar()};
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) throw UsageError(fmt::format("{}: expected a list of plain values", place));
    texts.push_back(item.Scalar());
  }
  return texts;
}

void apply_map(const YAML::Node& map, const std::string& path, OptionList& options) {
  for (const auto& entry : map) {
    const std::string key = entry.first.as<std::string>();
    const std::string place = fmt::format("{}: line {}: {}", path, entry.first.Mark().line + 1, key);
    const std::string name = option_name(key);
    const auto found = std::find_if(options.items.begin(), options.items.end(),
                                    [&](const Option& option) { return option.name == name; });
    if (found == options.items.end()) {
      if (entry.second.IsMap()) {  // a group of upstream's run.yaml
        apply_map(entry.second, path, options);
        continue;
      }
      std::vector<std::string> known;
      for (const Option& option : options.items) known.push_back(option.name);
      throw UsageError(fmt::format("{}: unknown option{}", place, did_you_mean(name, known)));
    }
    if (found->was_set || entry.second.IsNull()) continue;  // a flag wins; null leaves the default
    if (entry.second.IsMap()) throw UsageError(fmt::format("{}: expected a value, found a map", place));
    try {
      set_option(*found, scalar_texts(entry.second, place));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("{}: line {}: {}", path, entry.first.Mark().line + 1, error.what()));
    }
  }
}

std::string quoted(const Option& option, const std::string& text) {
  if (type_name(option) != "TEXT") return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? "\\n" : std::string(1, c);
  }
  return out + "\"";
}

}  // namespace

void apply_config_file(const std::string& path, std::string_view command, OptionList& options) {
  YAML::Node root;
  try {
    root = YAML::Load(read_file(path));
  } catch (const YAML::Exception& error) {
    throw DataError(fmt::format("{}: line {}, column {}: expected valid YAML: {}", path, error.mark.line + 1,
                                error.mark.column + 1, error.msg));
  }
  if (!root.IsMap()) throw DataError(fmt::format("{}: expected a map of options", path));
  const YAML::Node section = root[std::string(command)];
  apply_map(section && section.IsMap() ? section : root, path, options);
}

std::string dump_config(std::string_view command, const OptionList& options, bool only_set) {
  std::string out = fmt::format("{}:\n", command);
  for (const Option& option : options.items) {
    if (only_set && !option.was_set) continue;
    const auto texts = option_texts(option);
    out += fmt::format("  {}:", option.name);
    if (is_list(option)) {
      out += " [";
      for (size_t i = 0; i < texts.size(); ++i) out += (i ? ", " : "") + quoted(option, texts[i]);
      out += "]\n";
    } else {
      out += texts.empty() ? " null\n" : " " + quoted(option, texts.front()) + "\n";
    }
  }
  return out;
}

}  // namespace speculators
