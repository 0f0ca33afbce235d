// P-EAGLE in serving form: behind the newest verified row lie K-1 slots with the mask token and the learned state, and
// one pass fills them all; slot d gives token d + 1. Source: reference algorithms.md 6.3, 6.4, 20.
// Dims: D hidden size, V draft vocabulary, R requests that want tokens.
#include <algorithm>

#include "draft/chain/chain_proposer.h"
#include "draft/choose_token.h"
#include "draft/layer_checks.h"
#include "draft/load_weights.h"
#include "draft/peagle/config.h"
#include "draft/peagle/peagle.h"
#include "draft/peagle/weights.h"

namespace speculators {
namespace {

// Without a new row there is no feature to start from: the proposal stays empty.
bool wants_tokens(const ProposalRequest& request) { return request.num_tokens > 0 && num_new_rows(request) > 0; }

class PEagleProposer : public ChainProposer {
 public:
  // `mask_aux` [A*D] stands where the other slots have aux states.
  PEagleProposer(PEagleConfig config, int64_t speculative_tokens, std::vector<float> mask_aux, TensorFile weights,
                 const fs::path& verifier_folder)
      : ChainProposer(config, speculative_tokens, std::move(weights), verifier_folder),
        mask_embedding_(hidden_size_),
        mask_hidden_(hidden_size_) {
    fusion_.forward(mask_aux.data(), 1, mask_hidden_.data());
    vocabulary_.embed(static_cast<int32_t>(config.mask_token_id), mask_embedding_.data());
  }

  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override;

 private:
  void add_mask_rows(const ProposalRequest& request);
  void choose_tokens(std::span<const ProposalRequest> requests, std::vector<Proposal>& proposals);

  std::vector<float> mask_embedding_, mask_hidden_;  // [D]
};

std::vector<Proposal> PEagleProposer::propose(std::span<const ProposalRequest> requests) {
  for (const ProposalRequest& request : requests) check_request(request, fusion_.width(), config_.layer.vocab_size);
  int64_t num_masks = 0;
  for (const ProposalRequest& request : requests) num_masks += wants_tokens(request) ? request.num_tokens - 1 : 0;
  const int64_t first_mask = start_verified_rows(requests, num_masks);
  for (int64_t row = first_mask; row < first_mask + num_masks; ++row) {
    std::copy_n(mask_embedding_.data(), hidden_size_, embeds_.data() + row * hidden_size_);
    std::copy_n(mask_hidden_.data(), hidden_size_, hidden_.data() + row * hidden_size_);
  }
  for (const ProposalRequest& request : requests) add_mask_rows(request);
  run_rows(hidden_.data());
  std::vector<Proposal> proposals(requests.size());
  choose_tokens(requests, proposals);
  for (const ProposalRequest& request : requests) {
    cache_of(request).truncate(request.first + num_new_rows(request));
  }
  return proposals;
}

void PEagleProposer::add_mask_rows(const ProposalRequest& request) {
  const int64_t num_verified = request.first + num_new_rows(request);
  for (int64_t depth = 1; wants_tokens(request) && depth < request.num_tokens; ++depth) {
    add_chain_row(cache_of(request), num_verified, /*advance=*/depth);
  }
}

// The outputs are those of the R newest verified rows, then those of the masks, request by request.
void PEagleProposer::choose_tokens(std::span<const ProposalRequest> requests, std::vector<Proposal>& proposals) {
  const int64_t width = vocabulary_.size();
  const auto num_outputs = static_cast<int64_t>(rows_.size());
  if (num_outputs == 0) return;
  float* logits = logits_.at_least(num_outputs * width);
  vocabulary_.logits(normed_.data(), num_outputs, logits);
  int64_t first = 0, mask = std::count_if(requests.begin(), requests.end(), wants_tokens);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!wants_tokens(requests[i])) continue;
    float chance = 1;
    for (int64_t depth = 0; depth < requests[i].num_tokens; ++depth) {
      const int64_t output = depth == 0 ? first : mask + depth - 1;
      const std::span slot(logits + output * width, static_cast<size_t>(width));
      if (is_unlikely(slot, requests[i], chance)) break;
      choose_token(slot, requests[i], draft_to_verifier(), proposals[i]);
    }
    ++first;
    mask += requests[i].num_tokens - 1;
  }
}

}  // namespace

std::unique_ptr<Proposer> make_peagle_proposer(const Speculator& speculator, const fs::path& verifier_folder) {
  const std::string place = (speculator.folder / "config.json").string();
  PEagleConfig config = parse_peagle_config(speculator.config, speculator.layer_config, place);
  TensorFile weights = TensorFile::open_folder(speculator.folder);
  check_loaded_tensors(peagle_weights(config), weights);
  config.aux_layer_ids = check_verifier(verifier_folder, config.layer, config.aux_layer_ids);
  std::vector<float> mask_aux = load_vector(weights, "mask_hidden");
  return std::make_unique<PEagleProposer>(std::move(config), speculator.speculative_tokens, std::move(mask_aux),
                                          std::move(weights), verifier_folder);
}

}  // namespace speculators
