// `speculators prepare-data`: conversations or regenerated rows -> a prepared data set.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/commands.h"
#include "data/prepare_data.h"

namespace speculators {
namespace {

struct PrepareDataCommand : PrepareDataOptions {
  static CommandText text() { return {"prepare-data", "Tokenise conversations and mark the answers."}; }
  int run() {
    fmt::print("{}", describe(prepare_data(*this), output));
    return 0;
  }
};

}  // namespace

int run_prepare_data_command(Arguments arguments) { return run_command<PrepareDataCommand>(arguments); }

}  // namespace speculators
