// `speculators regenerate-responses`: the verifier answers the prompts.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/commands.h"
#include "regenerate/regenerate.h"

namespace speculators {
namespace {

struct RegenerateResponsesCommand : RegenerateOptions {
  static CommandText text() {
    return {"regenerate-responses",
            "Let the verifier answer the prompts, so that the draft learns what the verifier says."};
  }
  int run() {
    const RegenerateReport report = regenerate(*this);
    if (report.already_there) {
      fmt::print("the output is there already; nothing to do (--overwrite starts anew)\n");
      return 0;
    }
    fmt::print("{} conversations, {} rows, {} answer tokens, {:.1f} tokens/s\n", report.num_conversations,
               report.num_rows, report.num_tokens,
               static_cast<double>(report.num_tokens) / std::max(report.seconds, 1e-9));
    if (report.num_resumed > 0) fmt::print("  {} conversations were there from an earlier run\n", report.num_resumed);
    if (report.num_truncated > 0) fmt::print("  {} answers ended at --max-tokens\n", report.num_truncated);
    if (report.num_failed > 0)
      fmt::print("  {} conversations failed; see the .errors.jsonl file beside the output\n", report.num_failed);
    return 0;
  }
};

}  // namespace

int run_regenerate_responses_command(Arguments arguments) { return run_command<RegenerateResponsesCommand>(arguments); }

}  // namespace speculators
