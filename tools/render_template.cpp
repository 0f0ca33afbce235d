// Developer program behind check_templates.py: renders one chat template for many inputs.
//   render_template TEMPLATE.jinja < requests.jsonl > replies.jsonl
// A request is {"special_tokens": {...}, "messages": [...], "tools": [...] | null, "variables": {...},
// "add_generation_prompt": bool}; a reply is {"text": ...} or {"error": ...}. With `-` for the template each request
// carries its own under "template".
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "tokenizer/chat_template.h"

namespace {

using speculators::Json;

Json reply_to(const Json& request, const std::string& source) {
  const Json tools = request.value("tools", Json());
  const Json variables = request.value("variables", Json::object());
  speculators::ChatRenderOptions options;
  options.add_generation_prompt = request.value("add_generation_prompt", false);
  options.tools = tools.is_null() ? nullptr : &tools;
  options.variables = &variables;
  try {
    const auto chat_template = speculators::ChatTemplate::parse(request.value("template", source),
                                                                request.value("special_tokens", Json::object()), "t");
    return {{"text", chat_template.render(request.value("messages", Json::array()), options)}};
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: render_template TEMPLATE.jinja|- < requests.jsonl > replies.jsonl\n";
    return 2;
  }
  const std::string path = argv[1];
  const std::string source = path == "-" ? "" : speculators::read_file(path);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << reply_to(speculators::parse_json(line, "request"), source).dump() << "\n" << std::flush;
  }
}
