// `speculators train`: hidden states in, speculator checkpoints out. Lives in the training module (libtorch).
#include "train/train_command.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

#include "base/progress.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/commands.h"

namespace speculators {
namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

struct TrainCommand : TrainOptions {
  static CommandText text() {
    return {"train", "Train a draft on kept hidden states and save it in the speculators format."};
  }

  // What a flag or a file gave, so that run.yaml reproduces the run.
  void note_set(const OptionList& options) { run_yaml = dump_config("train", options, /*only_set=*/true); }

  int run() {
    install_stop_handlers();  // the module has its own
    const std::string provenance = fmt::format("# Timestamp: {}\n# speculators {}\n", utc_now(), kVersion);
    const TrainReport report =
        train(*this, {{"run.yaml", run_yaml}, {"train_command.txt", provenance + command_line()}});
    if (report.already_trained) fmt::print("trained already ({} steps)\n", report.num_steps);
    fmt::print("checkpoint: {}\n", report.checkpoint.string());
    return 0;
  }

 private:
  // The settings as one command that repeats the run.
  std::string command_line() const { return "speculators train --config run.yaml\n"; }
  std::string run_yaml;
};

}  // namespace

int run_train_command(Arguments arguments) { return run_command<TrainCommand>(arguments); }

}  // namespace speculators
