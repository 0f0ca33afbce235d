#include "engine/engine_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/errors.h"
#include "kernels/compute_pool.h"

namespace speculators {
namespace {

void check_layer_ids(const std::vector<int64_t>& ids, int64_t num_layers, const char* whose) {
  for (const int64_t id : ids) {
    if (id < 0 || id > num_layers) {
      throw UsageError(
          fmt::format("{}: expected layer ids in [0, {}], got {}; is this the right verifier?", whose, num_layers, id));
    }
  }
}

// The proposer when it is wanted: K = 0 is plain decoding.
Proposer* wanted_proposer(Proposer* proposer, const EngineOptions& options) {
  return options.proposal_length == 0 ? nullptr : proposer;
}

// None inside a prompt and behind an answer, one at the end of a prompt, else every row.
int64_t num_logit_rows_of(const Turn& turn) {
  if (turn.num_prompt_rows > 0) return turn.num_prompt_rows < turn.sequence->prompt_left() ? 0 : 1;
  return turn.sequence->answered() ? 0 : turn.num_rows;
}

// Rows that stay: all of a prompt's, the newest token's behind an answer, else one for each token gained.
int64_t num_kept_of(const Turn& turn, int64_t num_gained) {
  return turn.num_prompt_rows > 0 || turn.num_logit_rows == 0 ? turn.num_rows : num_gained;
}

}  // namespace

Sequence::Sequence(Request new_request, KvPool& pool, int64_t longest)
    : request(std::move(new_request)),
      kv(pool),
      tokens(request.prompt),
      max_length(longest),
      random(make_generator(request.sampling.seed)) {}

Engine::State::State(Verifier& the_verifier, Proposer* the_proposer, EngineOptions the_options)
    : verifier(the_verifier),
      proposer(wanted_proposer(the_proposer, the_options)),
      options(std::move(the_options)),
      vocab_size(verifier.config().vocab_size),
      pool(verifier.make_kv_pool()),
      scheduler(options.max_sequences, options.prefill_chunk) {
  if (options.max_sequences < 1 || options.prefill_chunk < 1) {
    throw UsageError("engine: expected max_sequences and prefill_chunk of at least 1");
  }
  const int64_t num_layers = verifier.config().num_hidden_layers;
  check_layer_ids(options.hidden_layer_ids, num_layers, "hidden_layer_ids");
  if (proposer != nullptr) {
    check_layer_ids(proposer->aux_layer_ids(), num_layers, "the speculator's aux layer ids");
    if (options.proposal_length < 0) options.proposal_length = proposer->max_proposal_length();
    aux_columns = HiddenColumns(proposer->aux_layer_ids(), aux_ids);
  }
  all_ids = aux_ids;
  kept_columns = HiddenColumns(options.hidden_layer_ids, all_ids);
}

// K tokens and the bonus token must fit into what is left of the answer.
int64_t Engine::State::proposal_length(const Sequence& sequence) const {
  return std::min(options.proposal_length, sequence.max_length - sequence.length() - 1);
}

void Engine::State::propose(std::vector<Turn>& turns) {
  if (proposer == nullptr) return;
  proposal_requests.clear();
  asking.clear();
  for (Turn& turn : turns) {
    Sequence& sequence = *turn.sequence;
    if (turn.num_prompt_rows > 0 || sequence.answered() || proposal_length(sequence) == 0) continue;
    if (sequence.draft == nullptr) sequence.draft = proposer->make_sequence();
    const bool greedy = is_greedy(sequence.request.sampling);
    turn.asked = true;
    asking.push_back(&turn);
    proposal_requests.push_back(
        {.sequence = sequence.draft.get(),
         .first = sequence.num_drafted_rows,
         .tokens = std::span(sequence.tokens).subspan(sequence.num_drafted_rows),
         .aux = sequence.aux,
         .num_tokens = proposal_length(sequence),
         .temperature = greedy ? 0.0f : static_cast<float>(sequence.request.sampling.temperature),
         .random = &sequence.random,
         .min_confidence = static_cast<float>(options.min_confidence)});
  }
  if (asking.empty()) return;
  std::vector<Proposal> proposals = proposer->propose(proposal_requests);
  for (size_t i = 0; i < asking.size(); ++i) {
    if (static_cast<int64_t>(proposals[i].tokens.size()) > proposal_requests[i].num_tokens) {
      throw std::logic_error("engine: the proposal is longer than what was asked for");
    }
    Sequence& sequence = *asking[i]->sequence;
    sequence.num_drafted_rows = sequence.kv.length();
    sequence.aux.clear();
    asking[i]->proposal = std::move(proposals[i]);
  }
}

// One pass over every turn's rows: a part of a prompt, or the newest token and the proposal behind it.
VerifierOutput Engine::State::verify(std::vector<Turn>& turns) {
  batch.sequences.clear();
  batch.hidden_layer_ids = aux_ids;
  int64_t num_rows = 0, num_logit_rows = 0;
  for (Turn& turn : turns) {
    Sequence& sequence = *turn.sequence;
    sequence.tokens.insert(sequence.tokens.end(), turn.proposal.tokens.begin(), turn.proposal.tokens.end());
    turn.kv_before = sequence.kv.length();
    turn.num_rows = turn.num_prompt_rows > 0 ? turn.num_prompt_rows : sequence.length() - turn.kv_before;
    turn.num_logit_rows = num_logit_rows_of(turn);
    turn.first_row = std::exchange(num_rows, num_rows + turn.num_rows);
    turn.first_logit_row = std::exchange(num_logit_rows, num_logit_rows + turn.num_logit_rows);
    const auto rows = std::span(sequence.tokens).subspan(turn.kv_before, turn.num_rows);
    batch.sequences.push_back({&sequence.kv, rows, turn.num_logit_rows});
    if (sequence.request.keep_hidden_states) batch.hidden_layer_ids = all_ids;
  }
  return verifier.forward(batch);
}

// Every logit row on its own: the greedy token, or the distribution to sample from.
void Engine::State::read_logits(const std::vector<Turn>& turns, std::span<const float> logits, bool need_margins) {
  row_turns.clear();
  for (const Turn& turn : turns) row_turns.insert(row_turns.end(), turn.num_logit_rows, &turn);
  const bool any_sampled = std::any_of(row_turns.begin(), row_turns.end(),
                                       [](const Turn* turn) { return !is_greedy(turn->sequence->request.sampling); });
  best_rows.resize(row_turns.size());
  if (any_sampled && distributions.size() < logits.size()) distributions.resize(logits.size());
  if (sampling_scratch.size() < row_turns.size()) sampling_scratch.resize(row_turns.size());
  compute_pool().parallel_for(static_cast<int64_t>(row_turns.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto source = logits.subspan(row * vocab_size, vocab_size);
      const SamplingParams& params = row_turns[row]->sequence->request.sampling;
      best_rows[row] = need_margins ? top_two(source) : top_one(source);
      if (is_greedy(params)) continue;
      const auto distribution = std::span(distributions).subspan(row * vocab_size, vocab_size);
      std::copy(source.begin(), source.end(), distribution.begin());
      to_distribution(distribution, params, sampling_scratch[row]);
    }
  });
}

void Engine::State::check_finite(const Turn& turn) const {
  for (int64_t i = 0; i < turn.num_logit_rows; ++i) {
    if (std::isfinite(best_rows[turn.first_logit_row + i].value)) continue;
    throw DataError(
        fmt::format("verifier: the logits behind token {} of request {} are not finite; are its weights damaged?",
                    turn.kv_before + turn.num_rows - turn.num_logit_rows + i, turn.sequence->request.id));
  }
}

Accepted Engine::State::accept(Turn& turn) {
  if (turn.num_logit_rows == 0) return {};
  Sequence& sequence = *turn.sequence;
  check_finite(turn);
  if (is_greedy(sequence.request.sampling)) {
    greedy_tokens.clear();
    for (int64_t i = 0; i < turn.num_logit_rows; ++i) {
      greedy_tokens.push_back(best_rows[turn.first_logit_row + i].best);
    }
    return accept_greedy(turn.proposal.tokens, greedy_tokens);
  }
  const auto target =
      std::span(distributions).subspan(turn.first_logit_row * vocab_size, turn.num_logit_rows * vocab_size);
  const auto map = proposer == nullptr ? std::span<const int32_t>{} : proposer->draft_to_verifier();
  return accept_sampled(turn.proposal, target, vocab_size, map, sequence.random);
}

// Keeps what was accepted, up to the first stop token: tokens, cache rows and states; forgets the rest of the proposal.
RoundRecord Engine::State::append(Turn& turn, const Accepted& accepted, std::span<const float> hidden_states) {
  Sequence& sequence = *turn.sequence;
  const auto& stops = sequence.request.stop_token_ids;
  const auto stop = std::find_first_of(accepted.tokens.begin(), accepted.tokens.end(), stops.begin(), stops.end());
  const bool stops_here = stop != accepted.tokens.end();
  const int64_t num_gained = stop - accepted.tokens.begin() + (stops_here ? 1 : 0);
  const int64_t num_kept = num_kept_of(turn, num_gained);
  sequence.stopped |= stops_here;

  sequence.tokens.resize(sequence.length() - static_cast<int64_t>(turn.proposal.tokens.size()));
  sequence.tokens.insert(sequence.tokens.end(), accepted.tokens.begin(), accepted.tokens.begin() + num_gained);
  sequence.kv.truncate(turn.kv_before + num_kept);

  const auto num_layers = static_cast<int64_t>(batch.hidden_layer_ids.size());
  const int64_t hidden_size = verifier.config().hidden_size;
  if (proposer != nullptr && !sequence.answered()) {
    aux_columns.append(hidden_states, num_layers, hidden_size, turn.first_row, num_kept, sequence.aux);
  }
  if (sequence.request.keep_hidden_states) {
    kept_columns.append(hidden_states, num_layers, hidden_size, turn.first_row, num_kept, sequence.hidden_states);
  }

  RoundRecord record{.request_id = sequence.request.id,
                     .asked = turn.asked,
                     .num_proposed = static_cast<int64_t>(turn.proposal.tokens.size()),
                     .num_accepted = accepted.num_accepted,
                     .tokens = std::span(sequence.tokens).last(num_gained),
                     .first = turn.num_prompt_rows > 0};
  if (is_greedy(sequence.request.sampling) && num_gained > 0) {
    const auto rows = std::span(best_rows).subspan(turn.first_logit_row, num_gained);
    record.smallest_margin =
        std::min_element(rows.begin(), rows.end(), [](auto a, auto b) { return a.margin < b.margin; })->margin;
  }
  return record;
}

}  // namespace speculators
