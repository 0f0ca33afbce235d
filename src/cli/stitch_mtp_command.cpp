// `speculators stitch-mtp FINETUNED VERIFIER`: a trained MTP head -> a copy of the verifier that has it.
#include <fmt/format.h>

#include "base/errors.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "draft/mtp/stitch.h"

namespace speculators {
namespace {

struct StitchMtpCommand {
  std::string finetuned_checkpoint, verifier_path;
  std::string output_path;
  static CommandText text() {
    return {"stitch-mtp", "Put a trained MTP head back into a copy of its verifier.",
            "The first argument is the speculator's folder, the second the verifier's."};
  }
  template <class Visitor>
  void options(Visitor&& option) {
    option("finetuned-checkpoint", finetuned_checkpoint, "folder of the MTP speculator (or the first argument)");
    option("verifier-path", verifier_path, "folder of its verifier (or the second argument)");
    option("output-path", output_path,
           "folder to write; appears whole or not at all (default: ./<name of the verifier's folder>-stitched)");
  }
  int run() {
    if (finetuned_checkpoint.empty() || verifier_path.empty()) {
      throw UsageError("stitch-mtp: expected two folders: speculators stitch-mtp FINETUNED VERIFIER");
    }
    const std::string name = fs::absolute(verifier_path / fs::path()).parent_path().filename().string();
    if (output_path.empty()) output_path = "./" + name + "-stitched";
    const StitchReport report = stitch_mtp(finetuned_checkpoint, verifier_path, output_path);
    fmt::print("{}: {} tensors of the MTP layer replaced in {} file(s), everything else copied from {}\n", output_path,
               report.num_tensors, report.num_shards, verifier_path);
    return 0;
  }
};

}  // namespace

int run_stitch_mtp_command(Arguments arguments) {
  std::vector<std::string> all(arguments.begin(), arguments.end());
  constexpr const char* kPositional[] = {"--finetuned-checkpoint", "--verifier-path"};
  for (size_t i = 0; i < 2 && all.size() > 2 * i && !all[2 * i].starts_with("-"); ++i) {
    all.insert(all.begin() + static_cast<std::ptrdiff_t>(2 * i), kPositional[i]);
  }
  return run_command<StitchMtpCommand>(all);
}

}  // namespace speculators
