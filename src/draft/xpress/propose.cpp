// XPress in serving form: the block pass gives every slot its logits, the refiner corrects them from the tokens before.
// A greedy proposal is settled as upstream does it: the argmax of all slots at once, then num_jacobi_passes passes of
// the refiner, each of which reads the tokens of the pass before. A token hangs on the tokens before it alone, so only
// the slots behind the first token that changed are worked out again; the result is the same. A sampled proposal is
// drawn from left to right: each token from the corrected distribution given the tokens already drawn, which is exactly
// the q that rejection sampling needs. Source: reference algorithms.md 8b.6, 20.
// Dims: L block size, D hidden size, r rank, V draft vocabulary.
#include <algorithm>
#include <utility>

#include "draft/block/proposer.h"
#include "draft/choose_token.h"
#include "draft/layer_checks.h"
#include "draft/xpress/refiner.h"
#include "draft/xpress/weights.h"
#include "draft/xpress/xpress.h"
#include "kernels/ops.h"

namespace speculators {
namespace {

class XPressSequence : public CachedSequence {
 public:
  using CachedSequence::CachedSequence;
  int32_t last_told = -1;  // token of the last verified row; -1 before the first
};

struct OpenBlock {
  size_t request = 0;
  int64_t end = 0;                            // one behind the last slot that is wanted
  int64_t next = 0;                           // the first slot that is still to be worked out
  int32_t before = 0, anchor = 0;             // the anchor's token and the one before it
  float* features = nullptr;                  // [L, 2r]
  float* inputs = nullptr;                    // [L, r]
  int32_t* tokens = nullptr;                  // by slot [L], verifier ids
  float *base = nullptr, *refined = nullptr;  // by predicted token [K, V]
  float chance = 1;                           // estimated, that everything offered so far is accepted
};

class XPressProposer : public BlockProposer {
 public:
  // `refiner` read out of `weights`, which stay open here.
  XPressProposer(const XPressConfig& config, Refiner refiner, TensorFile weights, const fs::path& verifier_folder)
      : BlockProposer(config, std::move(weights), verifier_folder, /*first_wanted=*/0, BlockStates::kWholeBlock),
        config_(config),
        first_(config.first_predicting_slot()),
        refiner_(std::move(refiner)) {}

  std::unique_ptr<DraftSequence> make_sequence() const override { return std::make_unique<XPressSequence>(pool()); }

 private:
  std::vector<Proposal> draft(std::span<const ProposalRequest> requests, const BlockOutput& output) override;
  void open_blocks(std::span<const ProposalRequest> requests, const BlockOutput& output);
  void settle(std::span<const ProposalRequest> requests, std::vector<Proposal>& proposals);
  void sample(std::span<const ProposalRequest> requests, std::vector<Proposal>& proposals);
  void add_row(const OpenBlock& block, int64_t slot);
  int64_t take_changes(OpenBlock& block);
  bool offer(OpenBlock& block, int64_t slot, const ProposalRequest& request, Proposal& proposal);
  std::span<float> logits_of(float* rows, int64_t slot) const {
    return {rows + (slot - first_) * vocab_size(), static_cast<size_t>(vocab_size())};
  }
  int32_t best_token(const float* logits) const;

  XPressConfig config_;
  int64_t first_;  // slot that predicts
  Refiner refiner_;
  std::vector<OpenBlock> greedy_, sampled_;
  std::vector<RefinerRow> rows_;
  std::vector<int32_t> tokens_;
  Buffer features_, inputs_, refined_;
};

// The token in front of the newest one, which the request tells only together with a new row.
int32_t token_before(const ProposalRequest& request) {
  auto& sequence = static_cast<XPressSequence&>(*request.sequence);
  if (num_new_rows(request) > 0) sequence.last_told = request.tokens[request.tokens.size() - 2];
  return sequence.last_told >= 0 ? sequence.last_told : request.tokens.back();
}

std::vector<Proposal> XPressProposer::draft(std::span<const ProposalRequest> requests, const BlockOutput& output) {
  std::vector<Proposal> proposals(requests.size());
  open_blocks(requests, output);
  settle(requests, proposals);
  sample(requests, proposals);
  return proposals;
}

void XPressProposer::open_blocks(std::span<const ProposalRequest> requests, const BlockOutput& output) {
  greedy_.clear();
  sampled_.clear();
  const auto num_blocks = static_cast<int64_t>(requests.size());
  const int64_t block_size = config_.block_size, rank = refiner_.rank();
  int64_t num_tokens = 0;
  for (const ProposalRequest& request : requests) num_tokens += request.num_tokens;
  tokens_.resize(num_blocks * block_size);
  float *features = features_.at_least(num_blocks * block_size * 2 * rank),
        *inputs = inputs_.at_least(num_blocks * block_size * rank),
        *refined = refined_.at_least(num_tokens * vocab_size()), *base = output.logits;
  const float* states = output.states;
  for (int64_t i = 0; i < num_blocks; ++i) {
    const ProposalRequest& request = requests[i];
    OpenBlock block = {.request = static_cast<size_t>(i), .end = first_ + request.num_tokens};
    block.before = token_before(request);
    block.anchor = request.tokens.back();
    if (request.num_tokens == 0) continue;
    block.features = std::exchange(features, features + block_size * 2 * rank);
    block.inputs = std::exchange(inputs, inputs + block_size * rank);
    block.tokens = tokens_.data() + i * block_size;
    block.base = std::exchange(base, base + request.num_tokens * vocab_size());
    block.refined = std::exchange(refined, refined + request.num_tokens * vocab_size());
    refiner_.read_block(std::exchange(states, states + block_size * hidden_size()), block.features);
    (request.temperature > 0 ? sampled_ : greedy_).push_back(block);
  }
}

int32_t XPressProposer::best_token(const float* logits) const {
  const int64_t id = argmax(logits, vocab_size());
  return draft_to_verifier().empty() ? static_cast<int32_t>(id) : draft_to_verifier()[id];
}

void XPressProposer::add_row(const OpenBlock& block, int64_t slot) {
  const int32_t previous = slot < first_ ? block.before : slot == first_ ? block.anchor : block.tokens[slot - 1];
  RefinerRow row = {block.features, block.inputs, slot, previous};
  if (slot >= first_) {
    row.base = logits_of(block.base, slot).data();
    row.logits = logits_of(block.refined, slot).data();
  }
  rows_.push_back(row);
}

// Reads the tokens of a pass; gives the first slot that has another token before it now.
int64_t XPressProposer::take_changes(OpenBlock& block) {
  int64_t changed = block.end;
  for (int64_t slot = std::max(block.next, first_); slot < block.end; ++slot) {
    const int32_t token = best_token(logits_of(block.refined, slot).data());
    if (std::exchange(block.tokens[slot], token) != token) changed = std::min(changed, slot + 1);
  }
  return changed;
}

bool XPressProposer::offer(OpenBlock& block, int64_t slot, const ProposalRequest& request, Proposal& proposal) {
  const std::span logits = logits_of(block.refined, slot);
  if (is_unlikely(logits, request, block.chance)) return false;
  block.tokens[slot] = choose_token(logits, request, draft_to_verifier(), proposal);
  return true;
}

void XPressProposer::settle(std::span<const ProposalRequest> requests, std::vector<Proposal>& proposals) {
  for (OpenBlock& block : greedy_) {
    const int64_t count = (block.end - first_) * vocab_size();
    if (config_.num_jacobi_passes == 0) std::copy_n(block.base, count, block.refined);
    for (int64_t slot = first_; slot < block.end; ++slot)
      block.tokens[slot] = best_token(logits_of(block.base, slot).data());
  }
  for (int64_t pass = 0; pass < config_.num_jacobi_passes; ++pass) {
    rows_.clear();
    for (const OpenBlock& block : greedy_) {
      for (int64_t slot = block.next; slot < block.end; ++slot) add_row(block, slot);
    }
    if (rows_.empty()) break;  // every block is settled
    refiner_.refine(rows_);
    for (OpenBlock& block : greedy_) block.next = take_changes(block);
  }
  for (OpenBlock& block : greedy_) {
    for (int64_t slot = first_; slot < block.end; ++slot) {
      if (!offer(block, slot, requests[block.request], proposals[block.request])) break;
    }
  }
}

void XPressProposer::sample(std::span<const ProposalRequest> requests, std::vector<Proposal>& proposals) {
  while (!sampled_.empty()) {
    rows_.clear();
    for (const OpenBlock& block : sampled_) add_row(block, block.next);
    refiner_.refine(rows_);
    std::erase_if(sampled_, [&](OpenBlock& block) {
      const int64_t slot = block.next++;
      if (slot >= first_ && !offer(block, slot, requests[block.request], proposals[block.request])) return true;
      return block.next == block.end;
    });
  }
}

}  // namespace

std::unique_ptr<Proposer> make_xpress_proposer(const Speculator& speculator, const fs::path& verifier_folder) {
  const std::string place = (speculator.folder / "config.json").string();
  const XPressConfig config = parse_xpress_config(speculator.config, speculator.layer_config, place);
  TensorFile weights = TensorFile::open_folder(speculator.folder);
  check_loaded_tensors(xpress_weights(config), weights);
  check_verifier(verifier_folder, config.layer, config.aux_layer_ids);
  Refiner refiner(weights, config);
  return std::make_unique<XPressProposer>(config, std::move(refiner), std::move(weights), verifier_folder);
}

}  // namespace speculators
