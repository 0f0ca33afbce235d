// Evaluation: the same prompts through the same engine, plain and speculative, interleaved in one run, so that noise of
// the machine meets both alike. Observes rounds; there is no second decoder.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "evaluate/acceptance_report.h"

namespace speculators {

struct EvaluationPrompt {
  std::string id, kind;
  std::vector<int32_t> token_ids;  // rendered with the chat template
};

struct EvaluationOptions {
  int64_t max_tokens = 128;
  int64_t proposal_length = -1;  // -1: as trained
  double min_confidence = 0.1;   // where proposals end early; 0: never
  int64_t concurrency = 1;       // users at once
  std::vector<int32_t> stop_token_ids;
  SamplingParams sampling;  // temperature 0: greedy answers are compared
};

// Seconds and tokens of one way of decoding. Decoding excludes the prompt's passes.
struct SpeedReport {
  int64_t num_answers = 0, num_tokens = 0, num_rounds = 0;
  double decode_seconds = 0;  // rounds without prompt rows
  int64_t decode_tokens = 0;  // what those rounds gained
  double propose_seconds = 0, verify_seconds = 0;
  std::vector<double> inter_token_latencies;  // one per answer: seconds between its tokens, mean
  std::vector<double> times_to_first_token;   // one per answer
  void add(const SpeedReport& other);
  double tokens_per_second() const;  // decode_tokens / decode_seconds
};

struct GreedyComparison {
  int64_t num_prompts = 0, num_identical = 0;
  int64_t num_ties = 0;                // first difference where the two best logits were closer than kTieMargin
  std::vector<std::string> different;  // ids of prompts that differ otherwise
};
inline constexpr double kTieMargin = 1e-3;

struct KindReport {
  AcceptanceReport acceptance;
  SpeedReport plain, speculative;
  GreedyComparison greedy;
  double speed_up() const;
  void add(const KindReport& other);
};

struct EvaluationAnswer {
  std::string id, kind;
  std::vector<int32_t> prompt, plain, speculative;  // token ids
};

struct EvaluationReport {
  std::vector<EvaluationAnswer> answers;
  std::map<std::string, KindReport> kinds;
  KindReport total;
};

// Runs everything. `proposer` must not be null.
EvaluationReport evaluate(Verifier& verifier, Proposer& proposer, const std::vector<EvaluationPrompt>& prompts,
                          const EvaluationOptions& options);

}  // namespace speculators
