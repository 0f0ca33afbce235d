// EAGLE-3 in serving form. Row j of a sequence is (embed(x_{j+1}), g_j) at position j+1 and predicts x_{j+2}; its keys
// and values stay in slot j. A chain of K-1 further rows feeds the draft's own states and tokens back in slots n, n+1,
// ..., which are dropped again: once verified, their tokens come back with real features.
// Source: reference algorithms.md 5.3, 5.4, 20. Dims: M rows, D hidden size, A aux layers, V draft vocabulary, R
// chains.
#include <algorithm>

#include "draft/cached_sequence.h"
#include "draft/choose_token.h"
#include "draft/draft_layers.h"
#include "draft/draft_vocabulary.h"
#include "draft/eagle3/aux_fusion.h"
#include "draft/eagle3/eagle3.h"
#include "draft/eagle3/weights.h"
#include "draft/layer_checks.h"
#include "draft/load_weights.h"
#include "kernels/ops.h"

namespace speculators {
namespace {

class Eagle3Proposer : public Proposer {
 public:
  Eagle3Proposer(Eagle3Config config, int64_t speculative_tokens, TensorFile weights, const fs::path& verifier_folder)
      : config_(std::move(config)),
        speculative_tokens_(speculative_tokens),
        hidden_size_(config_.layer.hidden_size),
        window_(config_.layer.sliding_window.value_or(int64_t{1} << 40)),
        eps_(static_cast<float>(config_.layer.rms_norm_eps)),
        fusion_(weights, config_),
        layers_(weights, config_.layer, 2 * hidden_size_),
        hidden_norm_(load_vector(weights, "layers.0.hidden_norm.weight")),
        norm_(load_vector(weights, "norm.weight")),
        pool_(layers_.make_kv_pool()),
        vocabulary_(std::move(weights), verifier_folder, config_.layer, VocabularySource::kSpeculator) {}

  std::unique_ptr<DraftSequence> make_sequence() const override { return std::make_unique<CachedSequence>(*pool_); }
  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override;
  const std::vector<int64_t>& aux_layer_ids() const override { return config_.aux_layer_ids; }
  int64_t max_proposal_length() const override { return speculative_tokens_; }
  std::span<const int32_t> draft_to_verifier() const override { return vocabulary_.draft_to_verifier(); }

 private:
  // A request whose proposal is still growing; chain r owns row r of fed_back_.
  struct Chain {
    const ProposalRequest* request;
    Proposal* proposal;
    int64_t num_verified;  // n
    int32_t token = 0;     // the newest
  };

  void run_verified_rows(std::span<const ProposalRequest> requests);
  void add_verified_rows(const ProposalRequest& request);
  void run_chain_rows(const std::vector<Chain>& chains);
  void run_rows(float* hidden);
  void choose_tokens(std::vector<Chain>& chains);
  void drop_finished(std::vector<Chain>& chains);

  Eagle3Config config_;
  int64_t speculative_tokens_, hidden_size_, window_;
  float eps_;
  AuxFusion fusion_;
  DraftLayers layers_;
  std::vector<float> hidden_norm_, norm_;  // [D]
  std::unique_ptr<KvPool> pool_;
  DraftVocabulary vocabulary_;

  std::vector<DraftRow> rows_;
  Buffer aux_, embeds_, hidden_, inputs_, normed_, logits_;
  Buffer fed_back_;  // [R, D] what the next step reads in place of fc(g)
};

std::vector<Proposal> Eagle3Proposer::propose(std::span<const ProposalRequest> requests) {
  for (const ProposalRequest& request : requests) check_request(request, fusion_.width(), config_.layer.vocab_size);
  run_verified_rows(requests);
  std::vector<Proposal> proposals(requests.size());
  std::vector<Chain> chains;
  for (size_t i = 0; i < requests.size(); ++i) {
    // Without a new row there is no feature to start from: the proposal stays empty.
    if (requests[i].num_tokens < 1 || num_new_rows(requests[i]) < 1) continue;
    chains.push_back({&requests[i], &proposals[i], cache_of(requests[i]).length()});
  }
  if (chains.empty()) return proposals;
  const std::vector<Chain> all = chains;
  choose_tokens(chains);
  for (drop_finished(chains); !chains.empty(); drop_finished(chains)) {
    run_chain_rows(chains);
    choose_tokens(chains);
  }
  for (const Chain& chain : all) cache_of(*chain.request).truncate(chain.num_verified);
  return proposals;
}

void Eagle3Proposer::run_verified_rows(std::span<const ProposalRequest> requests) {
  int64_t num_rows = 0;
  for (const ProposalRequest& request : requests) num_rows += num_new_rows(request);
  if (num_rows == 0) return;
  float* aux = aux_.at_least(num_rows * fusion_.width());
  float* embed = embeds_.at_least(num_rows * hidden_size_);
  for (const ProposalRequest& request : requests) {
    aux = std::copy(request.aux.begin(), request.aux.end(), aux);
    for (int32_t token : request.tokens.subspan(1)) {
      vocabulary_.embed(token, embed);
      embed += hidden_size_;
    }
  }
  rows_.clear();
  for (const ProposalRequest& request : requests) add_verified_rows(request);
  float* hidden = hidden_.at_least(num_rows * hidden_size_);
  fusion_.forward(aux_.data(), num_rows, hidden);
  run_rows(hidden);
}

void Eagle3Proposer::add_verified_rows(const ProposalRequest& request) {
  KvSequence& cache = cache_of(request);
  const int64_t count = num_new_rows(request);
  cache.extend(count);
  for (int64_t j = request.first; j < request.first + count; ++j) {
    rows_.push_back({.sequence = &cache, .slot = j, .position = j + 1, .full_end = j + 1});
    rows_.back().sliding_begin = std::max<int64_t>(0, j + 1 - window_);  // the window counts the row itself
    rows_.back().sliding_end = j + 1;
  }
  if (count > 0) rows_.back().wanted = request.num_tokens > 0;
}

void Eagle3Proposer::run_chain_rows(const std::vector<Chain>& chains) {
  float* embed = embeds_.at_least(static_cast<int64_t>(chains.size()) * hidden_size_);
  rows_.clear();
  for (const Chain& chain : chains) {
    KvSequence& cache = cache_of(*chain.request);
    const int64_t slot = cache.length();
    cache.extend(1);
    rows_.push_back({.sequence = &cache, .slot = slot, .position = slot + 1, .full_end = slot + 1});
    // As trained: a chain sees what the row it started from saw, and all of itself.
    rows_.back().sliding_begin = std::max<int64_t>(0, chain.num_verified - window_);
    rows_.back().sliding_end = slot + 1;
    rows_.back().wanted = true;
    vocabulary_.embed(chain.token, embed);
    embed += hidden_size_;
  }
  run_rows(fed_back_.data());
}

// embeds_ and `hidden` [M, D] through the layers; the wanted rows' output takes the front of `hidden`.
void Eagle3Proposer::run_rows(float* hidden) {
  const auto num_rows = static_cast<int64_t>(rows_.size());
  float* inputs = inputs_.at_least(num_rows * 2 * hidden_size_);  // [M, 2D]: embedding, hidden
  for (int64_t m = 0; m < num_rows; ++m) {
    float* left = inputs + m * 2 * hidden_size_;
    float* right = left + hidden_size_;
    float* state = hidden + m * hidden_size_;
    layers_.first_input_norm(embeds_.data() + m * hidden_size_, 1, left);
    rms_norm(state, hidden_norm_.data(), 1, hidden_size_, eps_, right);
    if (config_.norm_before_residual) std::copy_n(right, hidden_size_, state);
  }
  layers_.forward(rows_, inputs, hidden);
  const auto num_wanted = static_cast<int64_t>(rows_.size());
  if (num_wanted == 0) return;
  float* normed = normed_.at_least(num_wanted * hidden_size_);
  rms_norm(hidden, norm_.data(), num_wanted, hidden_size_, eps_, normed);
  const float* next = config_.norm_output ? normed : hidden;
  float* fed_back = fed_back_.at_least(num_wanted * hidden_size_);
  if (next != fed_back) std::copy_n(next, num_wanted * hidden_size_, fed_back);
}

void Eagle3Proposer::choose_tokens(std::vector<Chain>& chains) {
  const auto num_chains = static_cast<int64_t>(chains.size());
  float* logits = logits_.at_least(num_chains * vocabulary_.size());
  vocabulary_.logits(normed_.data(), num_chains, logits);  // [R, V]
  for (Chain& chain : chains) {
    const std::span<float> row(logits, vocabulary_.size());
    chain.token = choose_token(row, *chain.request, vocabulary_.draft_to_verifier(), *chain.proposal);
    logits += vocabulary_.size();
  }
}

void Eagle3Proposer::drop_finished(std::vector<Chain>& chains) {
  size_t kept = 0;
  for (size_t r = 0; r < chains.size(); ++r) {
    if (static_cast<int64_t>(chains[r].proposal->tokens.size()) >= chains[r].request->num_tokens) continue;
    if (kept != r) {
      chains[kept] = chains[r];
      std::copy_n(fed_back_.data() + r * hidden_size_, hidden_size_, fed_back_.data() + kept * hidden_size_);
    }
    ++kept;
  }
  chains.resize(kept);
}

}  // namespace

std::unique_ptr<Proposer> make_eagle3_proposer(const Speculator& speculator, const fs::path& verifier_folder) {
  const std::string place = (speculator.folder / "config.json").string();
  Eagle3Config config = parse_eagle3_config(speculator.config, speculator.layer_config, place);
  TensorFile weights = TensorFile::open_folder(speculator.folder);
  check_loaded_tensors(eagle3_weights(config), weights);
  config.aux_layer_ids = check_verifier(verifier_folder, config.layer, config.aux_layer_ids);
  return std::make_unique<Eagle3Proposer>(std::move(config), speculator.speculative_tokens, std::move(weights),
                                          verifier_folder);
}

}  // namespace speculators
