// DFlash in serving form: every slot of the block gives its token by itself.
// Source: reference algorithms.md 7, 20. Dims: K proposal length, V draft vocabulary.
#include "draft/block/proposer.h"
#include "draft/block/weights.h"
#include "draft/choose_token.h"
#include "draft/dflash/config.h"
#include "draft/dflash/dflash.h"
#include "draft/layer_checks.h"

namespace speculators {
namespace {

class DFlashProposer : public BlockProposer {
 public:
  DFlashProposer(const DFlashConfig& config, TensorFile weights, const fs::path& verifier_folder)
      : BlockProposer(config, std::move(weights), verifier_folder, config.first_predicting_slot()) {}

 private:
  std::vector<Proposal> draft(std::span<const ProposalRequest> requests, const BlockOutput& output) override {
    std::vector<Proposal> proposals(requests.size());
    float* logits = output.logits;  // [sum of K, V]
    for (size_t i = 0; i < requests.size(); ++i) {
      float chance = 1;
      for (int64_t k = 0; k < requests[i].num_tokens; ++k) {
        const std::span slot(logits + k * vocab_size(), static_cast<size_t>(vocab_size()));
        if (is_unlikely(slot, requests[i], chance)) break;
        choose_token(slot, requests[i], draft_to_verifier(), proposals[i]);
      }
      logits += requests[i].num_tokens * vocab_size();
    }
    return proposals;
  }
};

}  // namespace

std::unique_ptr<Proposer> make_dflash_proposer(const Speculator& speculator, const fs::path& verifier_folder) {
  const std::string place = (speculator.folder / "config.json").string();
  const DFlashConfig config = parse_dflash_config(speculator.config, speculator.layer_config, place);
  TensorFile weights = TensorFile::open_folder(speculator.folder);
  check_loaded_tensors(block_weight_table(config), weights);
  check_verifier(verifier_folder, config.layer, config.aux_layer_ids);
  return std::make_unique<DFlashProposer>(config, std::move(weights), verifier_folder);
}

}  // namespace speculators
