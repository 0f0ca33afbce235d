#include "evaluate/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/progress.h"

namespace speculators {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One way of decoding: an engine, and what its rounds told about each running answer.
class Run {
 public:
  Run(Verifier& verifier, Proposer* proposer, const EvaluationOptions& options)
      : options_(options), engine_(verifier, proposer, engine_options(proposer, options)) {
    engine_.on_sequence = [this](const RoundRecord& record) { on_sequence(record); };
    engine_.on_round = [this](const RoundTimes& times) { on_round(times); };
  }

  // Answers all prompts, which share one kind; appends to the report of this way.
  std::vector<std::vector<int32_t>> answer(std::span<const EvaluationPrompt> prompts) {
    answers_.assign(prompts.size(), {});
    started_ = Clock::now();
    for (size_t i = 0; i < prompts.size(); ++i) {
      SamplingParams sampling = options_.sampling;
      sampling.seed += i;
      engine_.submit({.id = static_cast<int64_t>(i),
                      .prompt = prompts[i].token_ids,
                      .max_tokens = options_.max_tokens,
                      .stop_token_ids = options_.stop_token_ids,
                      .sampling = sampling});
    }
    std::vector<std::vector<int32_t>> results(prompts.size());
    while (!engine_.idle()) {
      for (Finished& finished : engine_.round()) finish(finished, results);
    }
    return results;
  }

  SpeedReport speed;
  AcceptanceReport acceptance;
  // For each answer of the last call: the smallest logit margin of the round that gave token i.
  const std::vector<double>& margins(size_t prompt) const { return answers_[prompt].margins; }

 private:
  struct Answer {
    double first_token = 0, last_token = 0;  // seconds since started_
    int64_t num_tokens = 0;
    std::vector<double> margins;
  };

  static EngineOptions engine_options(Proposer* proposer, const EvaluationOptions& options) {
    EngineOptions result;
    result.proposal_length = proposer ? options.proposal_length : 0;
    result.min_confidence = options.min_confidence;
    result.max_sequences = options.concurrency;
    return result;
  }

  void on_sequence(const RoundRecord& record) {
    acceptance.add(record);
    Answer& answer = answers_[static_cast<size_t>(record.request_id)];
    if (answer.num_tokens == 0) answer.first_token = seconds_since(started_);
    answer.last_token = seconds_since(started_);
    answer.num_tokens += static_cast<int64_t>(record.tokens.size());
    answer.margins.insert(answer.margins.end(), record.tokens.size(), record.smallest_margin);
    round_tokens_ += static_cast<int64_t>(record.tokens.size());
  }

  void on_round(const RoundTimes& times) {
    if (!times.prefill) {
      speed.decode_seconds += times.total;
      speed.decode_tokens += round_tokens_;
      speed.propose_seconds += times.propose;
      speed.verify_seconds += times.verify;
      ++speed.num_rounds;
    }
    round_tokens_ = 0;
  }

  void finish(Finished& finished, std::vector<std::vector<int32_t>>& results) {
    const Answer& answer = answers_[static_cast<size_t>(finished.id)];
    ++speed.num_answers;
    speed.num_tokens += static_cast<int64_t>(finished.tokens.size());
    speed.times_to_first_token.push_back(answer.first_token);
    if (answer.num_tokens > 1) {
      speed.inter_token_latencies.push_back((answer.last_token - answer.first_token) /
                                            static_cast<double>(answer.num_tokens - 1));
    }
    results[static_cast<size_t>(finished.id)] = std::move(finished.tokens);
  }

  const EvaluationOptions& options_;
  Engine engine_;
  std::vector<Answer> answers_;
  Clock::time_point started_;
  int64_t round_tokens_ = 0;
};

void compare(const EvaluationPrompt& prompt, const std::vector<int32_t>& plain, const std::vector<int32_t>& speculative,
             const std::vector<double>& margins, GreedyComparison& greedy) {
  ++greedy.num_prompts;
  if (plain == speculative) {
    ++greedy.num_identical;
    return;
  }
  const auto [first, ignored] = std::mismatch(plain.begin(), plain.end(), speculative.begin(), speculative.end());
  const auto position = static_cast<size_t>(first - plain.begin());
  if (position < margins.size() && margins[position] < kTieMargin) {
    ++greedy.num_ties;
  } else {
    greedy.different.push_back(prompt.id);
  }
}

// Consecutive prompts of one kind, `concurrency` at a time.
std::vector<std::span<const EvaluationPrompt>> make_groups(const std::vector<EvaluationPrompt>& prompts,
                                                           int64_t concurrency) {
  std::vector<std::span<const EvaluationPrompt>> groups;
  size_t begin = 0;
  while (begin < prompts.size()) {
    size_t end = begin + 1;
    while (end < prompts.size() && prompts[end].kind == prompts[begin].kind &&
           end - begin < static_cast<size_t>(concurrency))
      ++end;
    groups.push_back(std::span(prompts).subspan(begin, end - begin));
    begin = end;
  }
  return groups;
}

}  // namespace

void SpeedReport::add(const SpeedReport& other) {
  num_answers += other.num_answers;
  num_tokens += other.num_tokens;
  num_rounds += other.num_rounds;
  decode_seconds += other.decode_seconds;
  decode_tokens += other.decode_tokens;
  propose_seconds += other.propose_seconds;
  verify_seconds += other.verify_seconds;
  inter_token_latencies.insert(inter_token_latencies.end(), other.inter_token_latencies.begin(),
                               other.inter_token_latencies.end());
  times_to_first_token.insert(times_to_first_token.end(), other.times_to_first_token.begin(),
                              other.times_to_first_token.end());
}

double SpeedReport::tokens_per_second() const {
  return decode_seconds > 0 ? static_cast<double>(decode_tokens) / decode_seconds : 0;
}

double KindReport::speed_up() const {
  const double base = plain.tokens_per_second();
  return base > 0 ? speculative.tokens_per_second() / base : 0;
}

void KindReport::add(const KindReport& other) {
  acceptance.add(other.acceptance);
  plain.add(other.plain);
  speculative.add(other.speculative);
  greedy.num_prompts += other.greedy.num_prompts;
  greedy.num_identical += other.greedy.num_identical;
  greedy.num_ties += other.greedy.num_ties;
  greedy.different.insert(greedy.different.end(), other.greedy.different.begin(), other.greedy.different.end());
}

EvaluationReport evaluate(Verifier& verifier, Proposer& proposer, const std::vector<EvaluationPrompt>& prompts,
                          const EvaluationOptions& options) {
  EvaluationReport report;
  Run plain(verifier, nullptr, options);
  Run speculative(verifier, &proposer, options);
  const auto groups = make_groups(prompts, options.concurrency);
  if (!groups.empty()) {  // warm-up, not counted: weights come into memory, buffers grow
    plain.answer(groups.front());
    speculative.answer(groups.front());
  }
  Progress progress("evaluate", static_cast<int64_t>(prompts.size()), "prompts");
  bool plain_first = true;  // who goes first alternates, so that neither always meets the colder cache
  for (const auto group : groups) {
    check_stop("nothing was written");
    plain.speed = speculative.speed = {};
    plain.acceptance = speculative.acceptance = {};
    std::vector<std::vector<int32_t>> plain_answers, speculative_answers;
    if (plain_first) plain_answers = plain.answer(group);
    speculative_answers = speculative.answer(group);
    if (!plain_first) plain_answers = plain.answer(group);
    plain_first = !plain_first;

    KindReport part;
    part.acceptance = speculative.acceptance;
    part.plain = plain.speed;
    part.speculative = speculative.speed;
    if (options.sampling.temperature == 0) {
      for (size_t i = 0; i < group.size(); ++i) {
        compare(group[i], plain_answers[i], speculative_answers[i], plain.margins(i), part.greedy);
      }
    }
    for (size_t i = 0; i < group.size(); ++i) {
      report.answers.push_back(
          {group[i].id, group[i].kind, group[i].token_ids, plain_answers[i], speculative_answers[i]});
    }
    report.kinds[group.front().kind].add(part);
    report.total.add(part);
    progress.advance(static_cast<int64_t>(group.size()),
                     fmt::format("acceptance length {:.2f}, speed-up {:.2f}",
                                 report.total.acceptance.acceptance_length(), report.total.speed_up()));
  }
  return report;
}

}  // namespace speculators
