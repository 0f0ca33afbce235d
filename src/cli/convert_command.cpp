// `speculators convert MODEL --verifier DIR --algorithm eagle3|dflash`: a draft of another project -> a speculator;
// `--to eagle3|dflash`: the way back.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "draft/convert/convert.h"
#include "draft/speculator.h"

namespace speculators {
namespace {

struct ConvertCommand {
  std::string model, verifier, algorithm, to, output_path = "converted", algorithm_kwargs;
  static CommandText text() {
    return {"convert", "Turn a draft of another project into a speculator, or back.",
            "The first argument is the draft's folder."};
  }
  template <class Visitor>
  void options(Visitor&& option) {
    option("model", model, "folder of the draft (or the first argument)");
    option("verifier", verifier, "folder of the verifier that the draft belongs to");
    option("algorithm", algorithm, "what the draft is: eagle3 or dflash");
    option("to", to, "write a speculator as its own project does instead: eagle3 or dflash");
    option("output-path", output_path, "folder to write; appears whole or not at all");
    option("algorithm-kwargs", algorithm_kwargs, "config fields as a JSON object: '{\"norm_before_residual\": true}'");
  }
  int run() {
    if (model.empty()) throw UsageError("convert: expected the draft's folder: speculators convert DIR ...");
    for (const std::string& note : to.empty() ? run_forth() : run_back()) fmt::print("{}\n", note);
    fmt::print("{}: converted from {}\n", output_path, model);
    return 0;
  }
  ConvertNotes run_forth() const {
    if (algorithm.empty()) throw UsageError("--algorithm: expected eagle3 or dflash (or --to for the way back)");
    if (verifier.empty()) throw UsageError("--verifier: expected the folder of the verifier that the draft belongs to");
    Json overrides;
    if (!algorithm_kwargs.empty()) {
      try {
        overrides = parse_json(algorithm_kwargs, "--algorithm-kwargs");
      } catch (const DataError& error) {
        throw UsageError(error.what());
      }
      if (!overrides.is_object()) throw UsageError("--algorithm-kwargs: expected a JSON object, found another value");
    }
    return convert_to_speculator({model, verifier, algorithm, overrides}, output_path);
  }
  ConvertNotes run_back() const {
    if (!algorithm.empty()) throw UsageError("--to: expected without --algorithm; they are opposite ways");
    if (to != "eagle3" && to != "dflash") {
      throw UsageError(fmt::format("--to: expected eagle3 or dflash, found \"{}\"", to));
    }
    if (const std::string found = load_speculator(model).algorithm; found != to) {
      throw UsageError(fmt::format("--to: expected {}, which {} is, found {}", found, model, to));
    }
    return convert_from_speculator(model, output_path);
  }
};

}  // namespace

int run_convert_command(Arguments arguments) {
  std::vector<std::string> all(arguments.begin(), arguments.end());
  if (!all.empty() && !all.front().starts_with("-")) all.insert(all.begin(), "--model");
  return run_command<ConvertCommand>(all);
}

}  // namespace speculators
