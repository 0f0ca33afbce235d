// Chat templates: conversations -> the text a model was trained to read, through our own Jinja engine
// (tokenizer/jinja/). Output equals `jinja2` as transformers configures it (trim_blocks, lstrip_blocks, loopcontrols,
// `tojson` without HTML escapes, `raise_exception`, `strftime_now`, `{% generation %}`), errors included. Const methods
// may run on many threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/json.h"

namespace speculators {

struct ChatRenderOptions {
  bool add_generation_prompt = false;
  const Json* tools = nullptr;      // list of tool definitions, or null
  const Json* variables = nullptr;  // object of further template variables (chat_template_kwargs), or null
};

class ChatTemplate {
 public:
  // Finds the template: chat_template.jinja, else `chat_template` of tokenizer_config.json (a string, or a list of
  // {name, template} with "default"). bos_token, eos_token, ... come from tokenizer_config.json.
  static ChatTemplate load(const fs::path& tokenizer_folder);
  // `special_tokens`: object such as {"bos_token": "<s>", "eos_token": "</s>"}.
  static ChatTemplate parse(std::string_view source, const Json& special_tokens, const std::string& place);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `messages`: a list of {"role", "content", ...}. Throws UsageError with the template's own message for
  // raise_exception, and with line and cause for other template errors.
  std::string render(const Json& messages, const ChatRenderOptions& options = {}) const;

 private:
  struct Program;
  explicit ChatTemplate(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace speculators
