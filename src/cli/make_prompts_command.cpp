// `speculators make-prompts`: prompts of several kinds from templates, as JSON lines.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "base/errors.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "data/prompt_templates.h"

namespace speculators {
namespace {

struct MakePromptsCommand {
  std::string output;
  PromptRequest request{.kinds = prompt_kinds(), .count = 100, .seed = 1};
  int64_t seed = 1;
  static CommandText text() {
    return {"make-prompts", "Write prompts of several kinds from templates, as JSON lines."};
  }
  template <class Visitor>
  void options(Visitor&& option) {
    option("output", output, ".jsonl file to write");
    option("kinds", request.kinds, "kinds of prompts");
    option("count", request.count, "prompts of each kind");
    option("seed", seed, "other seeds give other prompts");
    option("exclude-seed", request.exclude_seed, "leave out what this seed gives (held-out prompts)");
    option("exclude-count", request.exclude_count, "... with this --count");
  }
  int run() {
    if (output.empty()) throw UsageError("--output: expected a .jsonl file to write");
    constexpr int64_t kMaxCount = 10'000'000;
    for (const auto& [flag, value, least] :
         {std::tuple("--count", request.count, 1), std::tuple("--exclude-count", request.exclude_count, 0)}) {
      if (value < least || value > kMaxCount)
        throw UsageError(fmt::format("{}: expected {} to {}, found {}", flag, least, kMaxCount, value));
    }
    request.seed = static_cast<uint64_t>(seed);
    std::string lines;
    const auto prompts = make_prompts(request);
    for (const Prompt& prompt : prompts)
      lines += Json{{"id", prompt.id}, {"kind", prompt.kind}, {"prompt", prompt.text}}.dump() + "\n";
    write_file(output, lines);
    fmt::print("{}: {} prompts\n", output, prompts.size());
    return 0;
  }
};

}  // namespace

int run_make_prompts_command(Arguments arguments) { return run_command<MakePromptsCommand>(arguments); }

}  // namespace speculators
