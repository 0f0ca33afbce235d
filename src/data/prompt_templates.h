// Prompts of our own making, from templates with slots: what quickstart trains
// and measures on. Kinds differ on purpose: code is predictable, explanations
// are less so. The same seed gives the same prompts on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace speculators {

struct Prompt {
  std::string id;  // "code-7-0012": kind, seed, number
  std::string kind;
  std::string text;
};

const std::vector<std::string>& prompt_kinds();  // "arithmetic", "code", "explanation"

// `count` different prompts of every kind. Throws UsageError for an unknown
// kind and when a kind's templates cannot give that many different texts.
// `exclude_seed` >= 0 leaves out every text that this seed's first
// `exclude_count` give.
struct PromptRequest {
  std::vector<std::string> kinds;
  int64_t count = 0;  // of each kind
  uint64_t seed = 0;
  int64_t exclude_seed = -1;
  int64_t exclude_count = 0;
};
std::vector<Prompt> make_prompts(const PromptRequest& request);

}  // namespace speculators
