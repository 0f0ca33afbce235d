#include "data/loss_mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/errors.h"

namespace speculators {
namespace {

using Ids = std::vector<int32_t>;

size_t common_prefix(const Ids& a, const Ids& b) {
  const size_t shorter = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(shorter), b.begin()).first - a.begin());
}

// Renders prefixes of one conversation.
class Renderer {
 public:
  Renderer(const Conversation& conversation, const Tokenizer& tokenizer, const ChatTemplate& chat_template, const Json* variables)
      : conversation_(conversation), tokenizer_(tokenizer), template_(chat_template), variables_(variables) {}

  Ids render(size_t num_messages, bool add_generation_prompt) const {
    const Json messages(std::vector<Json>(conversation_.messages.begin(), conversation_.messages.begin() + static_cast<ptrdiff_t>(num_messages)));
    return tokenizer_.encode(template_.render(messages, {.add_generation_prompt = add_generation_prompt,
                                                         .tools = conversation_.tools ? &*conversation_.tools : nullptr,
                                                         .variables = variables_}));
  }

 private:
  const Conversation& conversation_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  const Json* variables_;
};

// Where the answer of message `turn` begins in `full`; none when history and full text do not share it.
std::optional<size_t> find_boundary(const Renderer& renderer, size_t turn, const Ids& prompt, const Ids& full) {
  const size_t shared = common_prefix(prompt, full);
  if (shared == prompt.size()) return shared;
  // A template may open a scaffold in the generation prompt that the finished turn does not have (<think>).
  const Ids history = renderer.render(turn, /*add_generation_prompt=*/false);
  const bool history_is_prefix = common_prefix(history, full) == history.size();
  return history_is_prefix && shared >= history.size() ? std::optional(shared) : std::nullopt;
}

Sample make_sample(Ids full, size_t boundary, int64_t seq_length) {
  full.resize(std::min(full.size(), static_cast<size_t>(seq_length)));
  Sample sample{.token_ids = std::move(full), .loss_mask = {}};
  sample.loss_mask.assign(sample.token_ids.size(), 0);
  std::fill(sample.loss_mask.begin() + static_cast<ptrdiff_t>(boundary), sample.loss_mask.end(), uint8_t{1});
  return sample;
}

}  // namespace

void MaskCounts::add(const MaskCounts& other) {
  num_turns += other.num_turns;
  num_context_full += other.num_context_full;
  num_clipped += other.num_clipped;
  num_failed += other.num_failed;
  if (first_failure.empty()) first_failure = other.first_failure;
}

std::vector<Sample> make_samples(const Conversation& conversation, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                 const MaskOptions& options, MaskCounts& counts) {
  const Renderer renderer(conversation, tokenizer, chat_template, options.variables);
  const auto limit = static_cast<size_t>(options.seq_length);
  std::vector<Sample> samples;
  try {
    for (size_t turn = 1; turn < conversation.messages.size(); ++turn) {
      if (conversation.messages[turn]["role"] != "assistant") continue;
      ++counts.num_turns;
      const Ids prompt = renderer.render(turn, /*add_generation_prompt=*/true);
      if (prompt.size() >= limit) {
        ++counts.num_context_full;
        continue;
      }
      Ids full = renderer.render(turn + 1, /*add_generation_prompt=*/false);
      const auto boundary = find_boundary(renderer, turn, prompt, full);
      if (!boundary) throw UsageError(fmt::format("turn {}: the rendered history is not a prefix of the rendered answer", turn));
      if (full.size() > limit) ++counts.num_clipped;
      if (*boundary < std::min(full.size(), limit)) samples.push_back(make_sample(std::move(full), *boundary, options.seq_length));
    }
  } catch (const UsageError& error) {
    ++counts.num_failed;
    if (counts.first_failure.empty()) counts.first_failure = fmt::format("conversation {}: {}", conversation.id, error.what());
    samples.clear();
  }
  return samples;
}

}  // namespace speculators
