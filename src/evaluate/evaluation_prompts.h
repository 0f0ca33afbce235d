// Prompts to measure on, from any row form of data/conversation.h: the turns before the first answer, rendered.
#pragma once

#include <string>
#include <vector>

#include "evaluate/evaluation.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace speculators {

// `limit_per_kind` 0: all. Prompts keep the order of the file; a row without `kind` gets the file's name.
std::vector<EvaluationPrompt> read_evaluation_prompts(const std::string& file, int64_t limit_per_kind,
                                                      const Tokenizer& tokenizer, const ChatTemplate& chat_template);

// Throws DataError, naming file and prompt, when the verifier cannot take one of them.
void check_evaluation_prompts(const std::string& file, const std::vector<EvaluationPrompt>& prompts,
                              const ModelConfig& verifier);

}  // namespace speculators
