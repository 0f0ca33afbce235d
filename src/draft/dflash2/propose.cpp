// DFlash2 in serving form: the block pass fills a block, then its slots are chosen from left to right among the
// likeliest tokens of each, the selector knowing the token chosen before. What a slot is drawn from hangs on its state
// and the tokens before it alone, so the reported probabilities are exact.
// Source: reference algorithms.md 8a.7, 20. Dims: M rows, K proposal length, V vocabulary, r rank.
#include "draft/block/proposer.h"
#include "draft/choose_token.h"
#include "draft/dflash2/dflash2.h"
#include "draft/dflash2/selector.h"
#include "draft/dflash2/weights.h"
#include "draft/layer_checks.h"

namespace speculators {
namespace {

class DFlash2Proposer : public BlockProposer {
 public:
  // `selector` reads out of `weights`, which stay open here. A slot's convolutions reach back to the anchor's.
  DFlash2Proposer(const DFlash2Config& config, CandidateSelector selector, TensorFile weights,
                  const fs::path& verifier_folder)
      : BlockProposer(config, std::move(weights), verifier_folder, /*first_wanted=*/0, BlockStates::kWholeStart),
        selector_(std::move(selector)) {}

 private:
  std::vector<Proposal> draft(std::span<const ProposalRequest> requests, const BlockOutput& output) override {
    std::vector<Proposal> proposals(requests.size());
    const float* projected = project(requests, output);
    const float* logits = output.logits;  // [sum of K, V]
    for (size_t i = 0; i < requests.size(); ++i) {
      if (requests[i].num_tokens == 0) continue;
      projected += num_leading_rows() * selector_.rank();
      walk(requests[i], logits, projected, proposals[i]);
      logits += requests[i].num_tokens * vocab_size();
      projected += requests[i].num_tokens * selector_.rank();
    }
    return proposals;
  }

  // Of every state, those of the leading slots too.
  const float* project(std::span<const ProposalRequest> requests, const BlockOutput& output) {
    int64_t num_rows = 0;
    for (const ProposalRequest& request : requests) {
      if (request.num_tokens > 0) num_rows += num_leading_rows() + request.num_tokens;
    }
    float* projected = projected_.at_least(num_rows * selector_.rank());
    if (num_rows > 0) selector_.project(output.states, num_rows, projected);
    return projected;
  }

  // logits [K, V], projected [K, r].
  void walk(const ProposalRequest& request, const float* logits, const float* projected, Proposal& proposal) {
    int32_t before = request.tokens.back();
    float chance = 1;
    for (int64_t k = 0; k < request.num_tokens; ++k) {
      const std::span slot(logits + k * vocab_size(), static_cast<size_t>(vocab_size()));
      const ScoredCandidates candidates = selector_.score(slot, projected + k * selector_.rank(), before);
      if (is_unlikely(candidates.scores, request, chance)) break;
      before = choose_candidate(candidates.ids, candidates.scores, request, vocab_size(), proposal);
    }
  }

  CandidateSelector selector_;
  Buffer projected_;
};

}  // namespace

std::unique_ptr<Proposer> make_dflash2_proposer(const Speculator& speculator, const fs::path& verifier_folder) {
  const std::string place = (speculator.folder / "config.json").string();
  const DFlash2Config config = parse_dflash2_config(speculator.config, speculator.layer_config, place);
  TensorFile weights = TensorFile::open_folder(speculator.folder);
  check_loaded_tensors(dflash2_weights(config), weights);
  check_verifier(verifier_folder, config.layer, config.aux_layer_ids);
  CandidateSelector selector(weights, config);
  return std::make_unique<DFlash2Proposer>(config, std::move(selector), std::move(weights), verifier_folder);
}

}  // namespace speculators
