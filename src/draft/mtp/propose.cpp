// MTP in serving form, as it was trained. Step k turns the states of step k-1 and the tokens k places on into the
// states of row 0 ... n-1; row n-1 gives draft token k+1. Positions stay those of the rows, and a step sees the keys of
// its own step alone, so every step keeps a cache: rows whose token is verified are final, the last k are made anew
// each round with the tokens drafted. Source: reference algorithms.md 9.2. Dims: M rows, D hidden size, V vocabulary.
#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "draft/cached_sequence.h"
#include "draft/choose_token.h"
#include "draft/draft_layers.h"
#include "draft/draft_vocabulary.h"
#include "draft/layer_checks.h"
#include "draft/load_weights.h"
#include "draft/mtp/config.h"
#include "draft/mtp/mtp.h"
#include "draft/mtp/weights.h"
#include "draft/verifier_tensors.h"
#include "kernels/ops.h"

namespace speculators {
namespace {

// What one step has for a sequence.
struct StepRows {
  int64_t num_final = 0;      // rows 0 ... num_final - 1 are in the step's cache for good
  std::vector<float> states;  // what the step reads for the rows behind them; between rounds only final states [*, D]
};

class MtpSequence : public CachedSequence {
 public:
  MtpSequence(KvPool& pool, int64_t num_steps) : CachedSequence(pool), steps(num_steps) {}
  std::vector<int32_t> tokens;  // x_0 ... x_n, then what is drafted in this round
  std::vector<StepRows> steps;  // [K]
};

struct MtpNorms {
  std::vector<float> hidden, token, last;  // [D]
  std::vector<float> verifier;             // [D], only with normed_hidden_states
};

MtpNorms load_norms(const MtpConfig& config, const TensorFile& weights, const fs::path& verifier_folder) {
  const std::string prefix = kMtpLayer;
  MtpNorms norms = {.hidden = load_vector(weights, prefix + "hidden_layernorm.weight"),
                    .token = load_vector(weights, prefix + "token_layernorm.weight"),
                    .last = load_vector(weights, prefix + "final_layernorm.weight")};
  if (!config.normed_hidden_states) return norms;
  const TensorFile verifier = TensorFile::open_folder(verifier_folder);
  const VerifierTensorViews views =
      find_verifier_tensors(verifier, config.verifier.vocab_size, config.verifier.hidden_size);
  norms.verifier.assign(config.verifier.hidden_size, 1.0f);
  if (views.final_norm) norms.verifier = to_floats(*views.final_norm, verifier_folder.string() + ": final norm");
  return norms;
}

class MtpProposer : public Proposer {
 public:
  MtpProposer(const MtpConfig& config, int64_t num_steps, TensorFile weights, const fs::path& verifier_folder)
      : config_(config),
        num_steps_(num_steps),
        hidden_size_(config.verifier.hidden_size),
        eps_(static_cast<float>(config.verifier.rms_norm_eps)),
        aux_layer_ids_({config.verifier.num_hidden_layers}),
        norms_(load_norms(config, weights, verifier_folder)),
        input_proj_(load_linear(weights, {std::string(kMtpLayer) + "input_proj"})),
        layers_(weights, config.layer(), hidden_size_, "mtp_layers."),
        pool_(layers_.make_kv_pool(num_steps)),
        vocabulary_(std::move(weights), verifier_folder, config.verifier, VocabularySource::kVerifier) {}

  std::unique_ptr<DraftSequence> make_sequence() const override {
    return std::make_unique<MtpSequence>(*pool_, num_steps_);
  }
  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override;
  const std::vector<int64_t>& aux_layer_ids() const override { return aux_layer_ids_; }
  int64_t max_proposal_length() const override { return num_steps_; }
  std::span<const int32_t> draft_to_verifier() const override { return {}; }

 private:
  // A request in this round.
  struct Recursion {
    const ProposalRequest* request;
    MtpSequence* sequence;
    Proposal* proposal;
    int64_t num_verified;      // n
    float chance = 1;          // estimated, that all its tokens are accepted
    bool wants_token = false;  // the next step is to give one
    int64_t num_rows = 0;      // in this step's pass
  };

  void check(const ProposalRequest& request) const;
  void forget_provisional(MtpSequence& sequence) const;
  Recursion start(const ProposalRequest& request, Proposal& proposal) const;
  void run_step(int64_t step, std::vector<Recursion>& recursions);
  void add_rows(int64_t step, Recursion& recursion);
  void keep_states(int64_t step, const std::vector<Recursion>& recursions);
  void choose_tokens(std::vector<Recursion>& recursions);

  const MtpConfig config_;
  const int64_t num_steps_, hidden_size_;  // K, D
  const float eps_;
  const std::vector<int64_t> aux_layer_ids_;  // the last hidden state
  const MtpNorms norms_;
  PackedLinear input_proj_;
  DraftLayers layers_;
  std::unique_ptr<KvPool> pool_;
  DraftVocabulary vocabulary_;

  std::vector<DraftRow> rows_;
  Buffer inputs_, merged_, normed_, newest_, logits_;
};

void MtpProposer::check(const ProposalRequest& request) const {
  check_request(request, hidden_size_, config_.verifier.vocab_size);
  if (request.num_tokens <= num_steps_) return;
  throw UsageError(fmt::format(
      "proposal request: num_tokens: expected at most {}, the steps that the MTP head was trained for, found {}",
      num_steps_, request.num_tokens));
}

MtpProposer::Recursion MtpProposer::start(const ProposalRequest& request, Proposal& proposal) const {
  auto& sequence = static_cast<MtpSequence&>(*request.sequence);
  const int64_t count = num_new_rows(request);
  sequence.tokens.resize(request.first);
  sequence.tokens.insert(sequence.tokens.end(), request.tokens.begin(), request.tokens.end());
  auto& states = sequence.steps[0].states;
  states.assign(request.aux.begin(), request.aux.end());
  if (!norms_.verifier.empty()) {
    rms_norm(states.data(), norms_.verifier.data(), count, hidden_size_, eps_, states.data());
  }
  sequence.cache.extend(count);
  // Without a new row there is no state to start from: the proposal stays empty.
  return {&request, &sequence, &proposal, request.first + count, 1, request.num_tokens > 0 && count > 0};
}

std::vector<Proposal> MtpProposer::propose(std::span<const ProposalRequest> requests) {
  for (const ProposalRequest& request : requests) check(request);
  std::vector<Proposal> proposals(requests.size());
  std::vector<Recursion> recursions;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (num_new_rows(requests[i]) > 0) recursions.push_back(start(requests[i], proposals[i]));
  }
  const std::vector<Recursion> all = recursions;
  // Step 0 takes every new row; a later one runs where it is to give a token, and catches up.
  for (int64_t step = 0; step < num_steps_ && !recursions.empty(); ++step) {
    run_step(step, recursions);
    choose_tokens(recursions);
    std::erase_if(recursions, [](const Recursion& recursion) { return !recursion.wants_token; });
  }
  for (const Recursion& recursion : all) forget_provisional(*recursion.sequence);
  return proposals;
}

// States that came of drafted tokens.
void MtpProposer::forget_provisional(MtpSequence& sequence) const {
  for (size_t step = 1; step < sequence.steps.size(); ++step) {
    const int64_t num_known = sequence.steps[step - 1].num_final - sequence.steps[step].num_final;
    sequence.steps[step].states.resize(num_known * hidden_size_);
  }
}

void MtpProposer::run_step(int64_t step, std::vector<Recursion>& recursions) {
  rows_.clear();
  for (Recursion& recursion : recursions) add_rows(step, recursion);
  const auto num_rows = static_cast<int64_t>(rows_.size());
  float* merged = merged_.at_least(num_rows * hidden_size_);
  float* normed = normed_.at_least(num_rows * hidden_size_);
  input_proj_.forward(inputs_.data(), num_rows, merged);
  layers_.first_input_norm(merged, num_rows, normed);
  layers_.forward(rows_, normed, merged, step);  // `merged` holds the wanted rows' output now
  const auto num_wanted = static_cast<int64_t>(rows_.size());
  if (num_wanted == 0) return;
  rms_norm(merged, norms_.last.data(), num_wanted, hidden_size_, eps_, normed);
  keep_states(step, recursions);
}

// The rows that the step has states for: final ones that it has not seen yet, then the provisional ones up to n-1.
void MtpProposer::add_rows(int64_t step, Recursion& recursion) {
  MtpSequence& sequence = *recursion.sequence;
  StepRows& own = sequence.steps[step];
  const int64_t first = own.num_final, end = recursion.num_verified, offset = static_cast<int64_t>(rows_.size());
  recursion.num_rows = end - first;
  float* left = inputs_.at_least((offset + recursion.num_rows) * 2 * hidden_size_) + offset * 2 * hidden_size_;
  const float* state = own.states.data();
  for (int64_t row = first; row < end; ++row, left += 2 * hidden_size_, state += hidden_size_) {
    vocabulary_.embed(sequence.tokens[row + step + 1], left);
    rms_norm(left, norms_.token.data(), 1, hidden_size_, eps_, left);
    rms_norm(state, norms_.hidden.data(), 1, hidden_size_, eps_, left + hidden_size_);
    rows_.push_back({.sequence = &sequence.cache, .slot = row, .position = row, .full_end = row + 1});
    // The next step reads all of them; of the last step only the newest row, which gives the token.
    rows_.back().wanted = step + 1 < num_steps_ || (recursion.wants_token && row + 1 == end);
  }
  own.num_final = std::max(first, end - step);
  own.states.erase(own.states.begin(), own.states.begin() + (own.num_final - first) * hidden_size_);
}

// The output, normed_, is what the next step reads; the newest row of a request that wants a token goes to the head.
void MtpProposer::keep_states(int64_t step, const std::vector<Recursion>& recursions) {
  const bool has_next = step + 1 < num_steps_;
  const float* from = normed_.data();
  float* newest = newest_.at_least(static_cast<int64_t>(recursions.size()) * hidden_size_);
  for (const Recursion& recursion : recursions) {
    const int64_t num_rows = has_next ? recursion.num_rows : static_cast<int64_t>(recursion.wants_token);
    const float* end = from + num_rows * hidden_size_;
    if (recursion.wants_token) newest = std::copy(end - hidden_size_, end, newest);
    if (has_next) {
      auto& states = recursion.sequence->steps[step + 1].states;
      states.insert(states.end(), from, end);
    }
    from = end;
  }
}

void MtpProposer::choose_tokens(std::vector<Recursion>& recursions) {
  const auto num_wanted = std::count_if(recursions.begin(), recursions.end(),
                                        [](const Recursion& recursion) { return recursion.wants_token; });
  if (num_wanted == 0) return;
  float* logits = logits_.at_least(num_wanted * vocabulary_.size());
  vocabulary_.logits(newest_.data(), num_wanted, logits);  // [R, V]
  for (Recursion& recursion : recursions) {
    if (!recursion.wants_token) continue;
    const ProposalRequest& request = *recursion.request;
    const std::span<float> row(logits, vocabulary_.size());
    logits += vocabulary_.size();
    recursion.wants_token = !is_unlikely(row, request, recursion.chance);
    if (!recursion.wants_token) continue;
    recursion.sequence->tokens.push_back(choose_token(row, request, {}, *recursion.proposal));
    recursion.wants_token = static_cast<int64_t>(recursion.proposal->tokens.size()) < request.num_tokens;
  }
}

}  // namespace

std::unique_ptr<Proposer> make_mtp_proposer(const Speculator& speculator, const fs::path& verifier_folder) {
  const std::string place = (speculator.folder / "config.json").string();
  const MtpConfig config = parse_mtp_config(speculator.config, speculator.layer_config, place);
  TensorFile weights = TensorFile::open_folder(speculator.folder);
  check_loaded_tensors(mtp_weights(config), weights);
  // The head reads the last hidden state, whose layer id is the number of the verifier's layers.
  const int64_t num_layers = config.verifier.num_hidden_layers,
                found = read_model_config(verifier_folder).num_hidden_layers;
  if (found != num_layers) {
    throw DataError(
        fmt::format("{}: config.json: num_hidden_layers: expected {} as the speculator's transformer_layer_config has "
                    "it, found {}; "
                    "is this the speculator's verifier?",
                    verifier_folder.string(), num_layers, found));
  }
  check_verifier(verifier_folder, config.verifier, {num_layers});
  return std::make_unique<MtpProposer>(config, speculator.speculative_tokens, std::move(weights), verifier_folder);
}

}  // namespace speculators
