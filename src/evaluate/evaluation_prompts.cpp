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

void check_evaluation_prompts(const std::string& file, const std::vector<EvaluationPrompt>& prompts,
                              const ModelConfig& verifier) {
  for (const EvaluationPrompt& prompt : prompts) {
    const auto fail = [&](const std::string& problem) {
      throw DataError(fmt::format("{}: prompt {}: {}", file, prompt.id, problem));
    };
    const auto length = static_cast<int64_t>(prompt.token_ids.size());
    if (length == 0) fail("expected at least one token, found none; is the verifier's chat template complete?");
    if (length >= verifier.max_position_embeddings)
      fail(fmt::format("expected fewer than the verifier's context of {} tokens, found {}; shorten it",
                       verifier.max_position_embeddings, length));
    for (const int32_t id : prompt.token_ids) {
      if (id >= 0 && id < verifier.vocab_size) continue;
      fail(
          fmt::format("expected token ids below {}, the verifier's vocabulary, found {}; is tokenizer.json that of "
                      "this verifier?",
                      verifier.vocab_size, id));
    }
  }
}

}  // namespace speculators
