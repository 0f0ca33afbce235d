// Renders one template with JSON variables; errors come out as "line N: message". For tests only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tokenizer/jinja/from_json.h"
#include "tokenizer/jinja/parser.h"
#include "tokenizer/jinja/renderer.h"

namespace speculators::jinja {

inline std::string render(const std::string& source, const Json& variables = Json::object()) {
  Variables values;
  for (const auto& [name, value] : variables.items()) values[name] = from_json(value);
  try {
    const Template parsed = parse_template(source);
    return Renderer(parsed, values).render();
  } catch (const TemplateError& error) {
    return "line " + std::to_string(error.line) + ": " + error.what();
  }
}

inline std::string print(const std::string& expression, const Json& variables = Json::object()) {
  return render("{{ " + expression + " }}", variables);
}

}  // namespace speculators::jinja
