// `speculators list`: the draft algorithms this program knows.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/commands.h"
#include "draft/draft_algorithm.h"

namespace speculators {
namespace {

struct ListCommand {
  static CommandText text() { return {"list", "Name the draft algorithms."}; }
  template <class Visitor>
  void options(Visitor&&) {}
  int run() {
    for (const DraftAlgorithm& algorithm : draft_algorithms())
      fmt::print("{:<12}{}\n", algorithm.name, algorithm.summary);
    return 0;
  }
};

}  // namespace

int run_list_command(Arguments arguments) { return run_command<ListCommand>(arguments); }

}  // namespace speculators
