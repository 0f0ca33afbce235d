// From a conversation to samples: one per assistant turn, with the mask at the
// boundary between two renders of the chat template - the history with the
// generation prompt, and the same with the answer. Source: reference
// pipeline.md 3.1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/conversation.h"
#include "data/sample.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace speculators {

struct MaskOptions {
  int64_t seq_length = 8192;        // samples are clipped to this many tokens
  const Json* variables = nullptr;  // chat_template_kwargs
};

// What happened to the turns of one conversation. num_turns = samples +
// num_context_full + num_unsupervised.
struct MaskCounts {
  int64_t num_turns = 0;         // assistant turns behind another turn, of conversations that rendered
  int64_t num_context_full = 0;  // the history alone fills seq_length
  int64_t num_unsupervised = 0;  // no token of the answer is left
  int64_t num_clipped = 0;       // clipped inside the answer; kept
  int64_t num_failed = 0;        // conversations whose boundary could not be found or
                                 // that did not render
  std::string first_failure;     // the reason of the first of them
  void add(const MaskCounts& other);
};

// Messages before the first and behind the last assistant turn are context
// only; an assistant turn that opens the conversation too. Never throws for a
// conversation that does not render: it is counted, and its samples are left
// out.
std::vector<Sample> make_samples(const Conversation& conversation, const Tokenizer& tokenizer,
                                 const ChatTemplate& chat_template, const MaskOptions& options, MaskCounts& counts);

// Whether the template reads `content` as a list of text parts. Where it does
// not, join_text_parts comes first.
bool reads_text_parts(const ChatTemplate& chat_template);

}  // namespace speculators
