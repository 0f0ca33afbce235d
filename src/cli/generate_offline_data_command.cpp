// `speculators generate-offline-data`: the verifier runs over a prepared data set, and its hidden states are kept.
#include <fmt/format.h>

#include "base/errors.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "hidden_states/generate_offline_data.h"

namespace speculators {
namespace {

struct GenerateOfflineDataCommand : GenerateOfflineDataOptions {
  static CommandText text() {
    return {"generate-offline-data", "Run the verifier over a prepared data set and keep its hidden states."};
  }
  int run() {
    const GenerateOfflineDataReport report = generate_offline_data(*this);
    fmt::print("{}", describe(report));
    const auto& failures = report.capture.failures;
    if (failures.empty()) return 0;
    throw DataError(
        fmt::format("{}: expected hidden states of {} rows, but {} could not be made; the first: row {}: {}",
                    report.output, report.num_rows, failures.size(), failures.front().row, failures.front().reason));
  }
};

}  // namespace

int run_generate_offline_data_command(Arguments arguments) {
  return run_command<GenerateOfflineDataCommand>(arguments);
}

}  // namespace speculators
