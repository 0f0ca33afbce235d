#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/errors.h"
#include "engine/engine_state.h"

namespace speculators {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void check_request(const Request& request, const ModelConfig& config) {
  const auto prompt_length = static_cast<int64_t>(request.prompt.size());
  check_sampling_params(request.sampling);
  if (prompt_length == 0) throw UsageError("request: the prompt is empty; it needs at least one token");
  if (prompt_length >= config.max_position_embeddings) {
    throw UsageError(
        fmt::format("request: the prompt has {} tokens, but the verifier's context of {} must hold prompt "
                    "and answer; shorten the prompt",
                    prompt_length, config.max_position_embeddings));
  }
  if (request.max_tokens < 1) {
    throw UsageError(fmt::format("request: max_tokens: expected at least 1, got {}", request.max_tokens));
  }
  for (const int32_t id : request.prompt) {
    if (id >= 0 && id < config.vocab_size) continue;
    throw UsageError(
        fmt::format("request: token id {} is outside the verifier's vocabulary of {}", id, config.vocab_size));
  }
}

Finished make_finished(Sequence& sequence) {
  Finished finished;
  finished.id = sequence.request.id;
  finished.tokens.assign(sequence.tokens.begin() + sequence.prompt_length(), sequence.tokens.end());
  finished.stopped = sequence.stopped;
  finished.hidden_states = std::move(sequence.hidden_states);
  return finished;
}

}  // namespace

Engine::Engine(Verifier& verifier, Proposer* proposer, EngineOptions options)
    : state_(std::make_unique<State>(verifier, proposer, std::move(options))) {}
Engine::~Engine() = default;

void Engine::submit(Request request) {
  const ModelConfig& config = state_->verifier.config();
  check_request(request, config);
  if (request.keep_hidden_states && state_->options.hidden_layer_ids.empty()) {
    throw UsageError("request: keep_hidden_states needs an engine with hidden_layer_ids");
  }
  const auto prompt_length = static_cast<int64_t>(request.prompt.size());
  // No sum: max_tokens may be as large as an int64.
  const int64_t max_length =
      prompt_length + std::min(request.max_tokens, config.max_position_embeddings - prompt_length);
  state_->scheduler.submit(std::make_unique<Sequence>(std::move(request), *state_->pool, max_length));
}

bool Engine::cancel(int64_t request_id) { return state_->scheduler.cancel(request_id); }
bool Engine::idle() const { return state_->scheduler.idle(); }
int64_t Engine::num_running() const { return state_->scheduler.num_running(); }
int64_t Engine::num_waiting() const { return state_->scheduler.num_waiting(); }

std::vector<Finished> Engine::round() {
  const auto start = Clock::now();
  RoundTimes times;
  std::vector<Turn>& turns = state_->scheduler.schedule();
  if (turns.empty()) return {};

  state_->propose(turns);
  times.propose = seconds_since(start);

  const auto verify_start = Clock::now();
  const VerifierOutput output = state_->verify(turns);
  times.verify = seconds_since(verify_start);

  state_->read_logits(turns, output.logits, on_sequence != nullptr);
  for (Turn& turn : turns) {
    const Accepted accepted = state_->accept(turn);
    const RoundRecord record = state_->append(turn, accepted, output.hidden_states);
    if (on_sequence && !record.tokens.empty()) on_sequence(record);
    times.num_rows += turn.num_rows;
    times.prefill |= turn.num_prompt_rows > 0;
  }

  std::vector<Finished> finished;
  for (const auto& sequence : state_->scheduler.take_finished()) finished.push_back(make_finished(*sequence));
  times.num_sequences = static_cast<int64_t>(turns.size());
  times.total = seconds_since(start);
  if (on_round) on_round(times);
  return finished;
}

}  // namespace speculators
