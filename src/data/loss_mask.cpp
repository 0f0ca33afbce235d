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
  const auto shorter = static_cast<ptrdiff_t>(std::min(a.size(), b.size()));
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + shorter, b.begin()).first - a.begin());
}

// Renders prefixes of one conversation.
class PrefixRenderer {
 public:
  PrefixRenderer(const Conversation& conversation, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                 const Json* variables)
      : conversation_(conversation), tokenizer_(tokenizer), template_(chat_template), variables_(variables) {}

  Ids render(size_t num_messages, bool add_generation_prompt) const {
    const auto begin = conversation_.messages.begin();
    const Json messages(std::vector<Json>(begin, begin + static_cast<ptrdiff_t>(num_messages)));
    const ChatRenderOptions options{.add_generation_prompt = add_generation_prompt,
                                    .tools = conversation_.tools ? &*conversation_.tools : nullptr,
                                    .variables = variables_};
    return tokenizer_.encode(template_.render(messages, options));
  }

 private:
  const Conversation& conversation_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  const Json* variables_;
};

// Where the answer of message `turn` begins in `full`. Throws UsageError when
// history and full text do not share it.
size_t find_boundary(const PrefixRenderer& renderer, size_t turn, const Ids& prompt, const Ids& full) {
  const size_t shared = common_prefix(prompt, full);
  if (shared == prompt.size()) return shared;
  // A template may open a scaffold in the generation prompt that the finished
  // turn does not have (<think>).
  const Ids history = renderer.render(turn, /*add_generation_prompt=*/false);
  if (common_prefix(history, full) != history.size() || shared < history.size()) {
    throw UsageError(
        fmt::format("turn {}: the template writes the history "
                    "differently once the answer is there, so "
                    "the answer's first token cannot be told",
                    turn));
  }
  return shared;
}

Sample make_sample(Ids full, size_t boundary, size_t limit) {
  full.resize(std::min(full.size(), limit));
  Sample sample{.token_ids = std::move(full), .loss_mask = {}};
  sample.loss_mask.assign(sample.token_ids.size(), 0);
  std::fill(sample.loss_mask.begin() + static_cast<ptrdiff_t>(boundary), sample.loss_mask.end(), uint8_t{1});
  return sample;
}

// The sample of one assistant turn, or none, with the reason counted.
std::optional<Sample> sample_of_turn(const PrefixRenderer& renderer, size_t turn, size_t limit, MaskCounts& counts) {
  ++counts.num_turns;
  const Ids prompt = renderer.render(turn, /*add_generation_prompt=*/true);
  if (prompt.size() >= limit) {
    ++counts.num_context_full;  // a later turn may fit again: templates drop old
                                // reasoning
    return std::nullopt;
  }
  Ids full = renderer.render(turn + 1, /*add_generation_prompt=*/false);
  const size_t boundary = find_boundary(renderer, turn, prompt, full);
  if (boundary >= std::min(full.size(), limit)) {
    ++counts.num_unsupervised;
    return std::nullopt;
  }
  counts.num_clipped += full.size() > limit;
  return make_sample(std::move(full), boundary, limit);
}

}  // namespace

void MaskCounts::add(const MaskCounts& other) {
  num_turns += other.num_turns;
  num_context_full += other.num_context_full;
  num_unsupervised += other.num_unsupervised;
  num_clipped += other.num_clipped;
  num_failed += other.num_failed;
  if (first_failure.empty()) first_failure = other.first_failure;
}

std::vector<Sample> make_samples(const Conversation& conversation, const Tokenizer& tokenizer,
                                 const ChatTemplate& chat_template, const MaskOptions& options, MaskCounts& counts) {
  const PrefixRenderer renderer(conversation, tokenizer, chat_template, options.variables);
  MaskCounts found;
  std::vector<Sample> samples;
  try {
    for (size_t turn = 1; turn < conversation.messages.size(); ++turn) {
      if (conversation.messages[turn]["role"] != "assistant") continue;
      auto sample = sample_of_turn(renderer, turn, static_cast<size_t>(options.seq_length), found);
      if (sample) samples.push_back(std::move(*sample));
    }
  } catch (const UsageError& error) {
    found =
        MaskCounts{.num_failed = 1, .first_failure = fmt::format("conversation {}: {}", conversation.id, error.what())};
    samples.clear();
  }
  counts.add(found);
  return samples;
}

bool reads_text_parts(const ChatTemplate& chat_template) {
  // A template that prints the parts' texts but not the list itself has looked
  // inside.
  const Json part = {{"type", "text"}, {"text", "PROBE7391"}};
  const Json messages = Json::array({{{"role", "user"}, {"content", Json::array({part})}}});
  try {
    const std::string text = chat_template.render(messages);
    return text.find("PROBE7391") != std::string::npos && text.find("'PROBE7391'") == std::string::npos &&
           text.find("\"PROBE7391\"") == std::string::npos;
  } catch (const UsageError&) {
    return false;
  }
}

}  // namespace speculators
