// EAGLE-3 in serving form: a chain of K-1 further rows feeds the draft's own states and tokens back, one pass each.
// Source: reference algorithms.md 5.3, 5.4, 20. Dims: D hidden size, V draft vocabulary, R chains.
#include <algorithm>

#include "draft/chain/chain_proposer.h"
#include "draft/chain/weights.h"
#include "draft/choose_token.h"
#include "draft/eagle3/config.h"
#include "draft/eagle3/eagle3.h"
#include "draft/layer_checks.h"

namespace speculators {
namespace {

class Eagle3Proposer : public ChainProposer {
 public:
  Eagle3Proposer(Eagle3Config config, int64_t speculative_tokens, TensorFile weights, const fs::path& verifier_folder)
      : ChainProposer(std::move(config), speculative_tokens, std::move(weights), verifier_folder) {}

  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override;

 private:
  // A request whose proposal is still growing; chain r owns row r of fed_back_.
  struct Chain {
    const ProposalRequest* request;
    Proposal* proposal;
    int64_t num_verified;  // n
    int32_t token = 0;     // the newest
    float chance = 1;      // estimated, that all its tokens are accepted
    bool is_finished = false;
  };

  void run_chain_rows(const std::vector<Chain>& chains);
  void feed_back(const float* hidden);
  void choose_tokens(std::vector<Chain>& chains);
  void drop_finished(std::vector<Chain>& chains);

  Buffer fed_back_;  // [R, D] what the next step reads in place of fc(g)
};

std::vector<Proposal> Eagle3Proposer::propose(std::span<const ProposalRequest> requests) {
  for (const ProposalRequest& request : requests) check_request(request, fusion_.width(), config_.layer.vocab_size);
  start_verified_rows(requests, /*num_more=*/0);
  run_rows(hidden_.data());
  feed_back(hidden_.data());
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

void Eagle3Proposer::run_chain_rows(const std::vector<Chain>& chains) {
  float* embed = embeds_.at_least(static_cast<int64_t>(chains.size()) * hidden_size_);
  rows_.clear();
  for (const Chain& chain : chains) {
    add_chain_row(cache_of(*chain.request), chain.num_verified, /*advance=*/0);
    vocabulary_.embed(chain.token, embed);
    embed += hidden_size_;
  }
  run_rows(fed_back_.data());
  feed_back(fed_back_.data());
}

// The wanted rows' output, `hidden` [R, D] and normed_, for the next step.
void Eagle3Proposer::feed_back(const float* hidden) {
  const int64_t count = static_cast<int64_t>(rows_.size()) * hidden_size_;
  float* fed_back = fed_back_.at_least(count);
  const float* next = config_.norm_output ? normed_.data() : hidden;
  if (next != fed_back) std::copy_n(next, count, fed_back);
}

void Eagle3Proposer::choose_tokens(std::vector<Chain>& chains) {
  const auto num_chains = static_cast<int64_t>(chains.size());
  float* logits = logits_.at_least(num_chains * vocabulary_.size());
  vocabulary_.logits(normed_.data(), num_chains, logits);  // [R, V]
  for (Chain& chain : chains) {
    const std::span<float> row(logits, vocabulary_.size());
    logits += vocabulary_.size();
    chain.is_finished = is_unlikely(row, *chain.request, chain.chance);
    if (chain.is_finished) continue;
    chain.token = choose_token(row, *chain.request, vocabulary_.draft_to_verifier(), *chain.proposal);
    chain.is_finished = static_cast<int64_t>(chain.proposal->tokens.size()) == chain.request->num_tokens;
  }
}

void Eagle3Proposer::drop_finished(std::vector<Chain>& chains) {
  size_t kept = 0;
  for (size_t r = 0; r < chains.size(); ++r) {
    if (chains[r].is_finished) continue;
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
  check_loaded_tensors(chain_weight_table(config), weights);
  config.aux_layer_ids = check_verifier(verifier_folder, config.layer, config.aux_layer_ids);
  return std::make_unique<Eagle3Proposer>(std::move(config), speculator.speculative_tokens, std::move(weights),
                                          verifier_folder);
}

}  // namespace speculators
