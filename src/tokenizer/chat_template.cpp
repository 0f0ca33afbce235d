#include "tokenizer/chat_template.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/errors.h"
#include "tokenizer/jinja/from_json.h"
#include "tokenizer/jinja/parser.h"
#include "tokenizer/jinja/renderer.h"

namespace speculators {
namespace {

struct Source {
  std::string text;
  std::string place;
};

// A list of {"name", "template"}: the one named "default".
const Json* find_default(const Json& templates) {
  for (const Json& item : templates) {
    if (!item.is_object() || item.value("name", Json()) != Json("default")) continue;
    const auto found = item.find("template");
    if (found != item.end() && found->is_string()) return &*found;
  }
  return nullptr;
}

std::optional<std::string> find_template(const Json& config, const std::string& place) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  const Json* text = found->is_array() ? find_default(*found) : nullptr;
  if (text != nullptr) return text->get<std::string>();
  throw DataError(place +
                  ": chat_template: expected a text or a list of {\"name\", \"template\"} with the name "
                  "\"default\"; put the template into chat_template.jinja beside it");
}

Json read_object(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json value = read_json(path);
  if (!value.is_object()) throw DataError(path.string() + ": expected a JSON object, found " + value.type_name());
  return value;
}

Source find_source(const fs::path& folder, const Json& config) {
  const fs::path file = folder / "chat_template.jinja";
  if (fs::exists(file)) return {read_file(file), file.string()};
  const fs::path config_path = folder / "tokenizer_config.json";
  if (auto text = find_template(config, config_path.string())) return {*text, config_path.string() + ": chat_template"};
  const fs::path old_path = folder / "chat_template.json";  // what processors wrote before chat_template.jinja
  if (auto text = find_template(read_object(old_path), old_path.string())) return {*text, old_path.string()};
  throw DataError(folder.string() + ": no chat template: expected chat_template.jinja, or chat_template in " +
                  "tokenizer_config.json; an instruction-tuned checkpoint has one, a base model does not");
}

// {"bos_token": "<s>"} and {"bos_token": {"content": "<s>", ...}} mean the same.
void add_special_tokens(const Json& config, Json& tokens) {
  for (const auto& [key, value] : config.items()) {
    if (!key.ends_with("_token") || tokens.contains(key)) continue;
    if (value.is_string()) tokens[key] = value;
    if (value.is_object() && value.contains("content") && value["content"].is_string()) tokens[key] = value["content"];
  }
}

jinja::Variables make_variables(const Json& object) {
  jinja::Variables variables;
  for (const auto& [key, value] : object.items()) variables[key] = jinja::from_json(value);
  return variables;
}

}  // namespace

struct ChatTemplate::Program {
  jinja::Template parsed;
  jinja::Variables special_tokens;
  std::string place;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Program> program) : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

ChatTemplate ChatTemplate::load(const fs::path& tokenizer_folder) {
  const Json config = read_object(tokenizer_folder / "tokenizer_config.json");
  const Source source = find_source(tokenizer_folder, config);
  Json tokens = Json::object();
  add_special_tokens(config, tokens);
  add_special_tokens(read_object(tokenizer_folder / "special_tokens_map.json"), tokens);
  return parse(source.text, tokens, source.place);
}

ChatTemplate ChatTemplate::parse(std::string_view source, const Json& special_tokens, const std::string& place) {
  auto program = std::make_unique<Program>();
  try {
    program->parsed = jinja::parse_template(source);
  } catch (const jinja::TemplateError& error) {
    throw DataError(place + ": line " + std::to_string(error.line) + ": " + error.what());
  }
  program->special_tokens = make_variables(special_tokens);
  program->place = place;
  return ChatTemplate(std::move(program));
}

std::string ChatTemplate::render(const Json& messages, const ChatRenderOptions& options) const {
  try {
    // As transformers passes them: an absent list of tools or documents is None, not undefined.
    jinja::Variables variables = program_->special_tokens;
    if (options.variables != nullptr) {
      for (auto& [name, value] : make_variables(*options.variables)) variables[name] = value;
    }
    variables.try_emplace("documents", jinja::Value());
    variables["messages"] = jinja::from_json(messages);
    variables["tools"] = options.tools != nullptr ? jinja::from_json(*options.tools) : jinja::Value();
    variables["add_generation_prompt"] = jinja::Value(options.add_generation_prompt);
    return jinja::Renderer(program_->parsed, variables).render();
  } catch (const jinja::TemplateError& error) {
    if (error.kind == jinja::ErrorKind::kRaised) throw UsageError(error.what());
    throw UsageError(program_->place + ": line " + std::to_string(error.line) + ": " + error.what());
  }
}

}  // namespace speculators
