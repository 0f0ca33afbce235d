#include "evaluate/evaluation_prompts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "data/conversation.h"

namespace speculators {
namespace {

// System and user turns before the first answer.
Json opening(const Conversation& conversation) {
  Json messages = Json::array();
  for (const Json& message : conversation.messages) {
    if (message["role"] == "assistant") break;
    messages.push_back(message);
  }
  return messages;
}

}  // namespace

std::vector<EvaluationPrompt> read_evaluation_prompts(const std::string& file, int64_t limit_per_kind,
                                                      const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  std::vector<EvaluationPrompt> prompts;
  std::map<std::string, int64_t> counts;
  RowWarnings warnings;
  read_rows(file, warnings, [&](DataRow row) {
    const auto* conversation = std::get_if<Conversation>(&row);
    if (!conversation)
      throw DataError(
          fmt::format("{}: found tokenised rows (input_ids); evaluation needs prompts or conversations", file));
    const std::string kind = conversation->kind.empty() ? fs::path(file).stem().string() : conversation->kind;
    if (limit_per_kind > 0 && counts[kind] >= limit_per_kind) return;
    ++counts[kind];
    const std::string text = chat_template.render(opening(*conversation), {.add_generation_prompt = true});
    prompts.push_back({conversation->id, kind, tokenizer.encode(text)});
  });
  if (prompts.empty()) throw DataError(fmt::format("{}: expected at least one prompt", file));
  return prompts;
}

}  // namespace speculators
