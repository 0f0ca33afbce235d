// `speculators evaluate`: the same prompts plain and speculative, side by side.
#include <fmt/format.h>

#include <list>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "draft/draft_algorithm.h"
#include "evaluate/evaluation_prompts.h"
#include "evaluate/report_writer.h"

namespace speculators {
namespace {

struct EvaluateCommand {
  std::string speculator, prompts;
  std::optional<std::string> verifier, json, csv, answers;
  int64_t limit_per_kind = 0;
  int64_t seed = 0;
  EvaluationOptions evaluation;

  static CommandText text() {
    return {"evaluate", "Measure plain against speculative decoding on the same prompts, interleaved."};
  }
  template <class Visitor>
  void options(Visitor&& option) {
    option("speculator", speculator, "speculator folder");
    option("prompts", prompts, ".jsonl or .json of prompts or conversations, with `kind`");
    option("verifier", verifier, "verifier folder (default: the one the speculator names)");
    option("limit-per-kind", limit_per_kind, "at most this many prompts of each kind; 0: all");
    option("max-tokens", evaluation.max_tokens, "longest answer");
    option("num-speculative-tokens", evaluation.proposal_length, "proposal length; -1: as trained");
    option("min-confidence", evaluation.min_confidence,
           "a proposal ends where its estimated chance of being accepted falls below this; 0: never");
    option("concurrency", evaluation.concurrency, "users at once");
    option("temperature", evaluation.sampling.temperature, "0: greedy, and answers are compared");
    option("top-k", evaluation.sampling.top_k, "sample among this many; 0: all");
    option("top-p", evaluation.sampling.top_p, "sample within this probability mass");
    option("min-p", evaluation.sampling.min_p, "leave out tokens less likely than this share of the best");
    option("seed", seed, "seed of the sampling");
    option("json", json, "write the report as JSON to this file");
    option("csv", csv, "write the report as CSV to this file");
    option("answers", answers, "write prompts and answers as token ids to this .jsonl file");
  }

  int run() {
    check();
    const Speculator loaded = load_speculator(speculator);
    const fs::path verifier_folder = verifier ? fs::path(*verifier) : find_verifier_folder(loaded);
    const auto proposer = get_draft_algorithm(loaded.algorithm).make_proposer(loaded, verifier_folder);
    const auto model = load_verifier(verifier_folder);
    const Tokenizer tokenizer = Tokenizer::load(verifier_folder);
    const auto list = read_evaluation_prompts(prompts, limit_per_kind, tokenizer, ChatTemplate::load(verifier_folder));
    check_evaluation_prompts(prompts, list, model->config());
    for (const int64_t id : model->config().eos_token_ids)
      evaluation.stop_token_ids.push_back(static_cast<int32_t>(id));
    evaluation.sampling.seed = static_cast<uint64_t>(seed);

    check_output("json", json);
    check_output("csv", csv);
    check_output("answers", answers);
    const EvaluationReport report = evaluate(*model, *proposer, list, evaluation);
    const EvaluationSetting setting{.speculator_type = loaded.algorithm,
                                    .checkpoint = speculator,
                                    .verifier = verifier_folder.string(),
                                    .proposal_length = evaluation.proposal_length < 0 ? proposer->max_proposal_length()
                                                                                      : evaluation.proposal_length,
                                    .options = evaluation};
    fmt::print("{}", report_table(report, setting));  // first: a full disk must not lose the measurement
    write_files(report, setting);
    return 0;
  }

 private:
  // A path that cannot be written must not cost a measurement.
  static void check_output(const char* flag, const std::optional<std::string>& path) {
    if (!path) return;
    if (fs::is_directory(*path))
      throw UsageError(fmt::format("--{}: {}: expected a file, found a folder", flag, *path));
    const AtomicFile probe(*path);
  }

  // All of them or none.
  void write_files(const EvaluationReport& report, const EvaluationSetting& setting) const {
    std::list<AtomicFile> files;
    if (json) files.emplace_back(*json).write(report_json(report, setting).dump(2) + "\n");
    if (csv) files.emplace_back(*csv).write(report_csv(report));
    if (answers) files.emplace_back(*answers).write(answers_jsonl(report));
    for (AtomicFile& file : files) file.commit();
  }

  void check() const {
    if (speculator.empty()) throw UsageError("--speculator: expected a speculator folder");
    if (prompts.empty()) throw UsageError("--prompts: expected a .jsonl or .json file");
    if (evaluation.max_tokens < 1)
      throw UsageError(fmt::format("--max-tokens: expected at least 1, found {}", evaluation.max_tokens));
    if (!(evaluation.min_confidence >= 0 && evaluation.min_confidence <= 1))
      throw UsageError(fmt::format("--min-confidence: expected 0 to 1, found {}", evaluation.min_confidence));
    if (evaluation.concurrency < 1)
      throw UsageError(fmt::format("--concurrency: expected at least 1, found {}", evaluation.concurrency));
    try {
      check_sampling_params(evaluation.sampling);
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("--temperature, --top-k, --top-p, --min-p: {}", error.what()));
    }
  }
};

}  // namespace

int run_evaluate_command(Arguments arguments) { return run_command<EvaluateCommand>(arguments); }

}  // namespace speculators
