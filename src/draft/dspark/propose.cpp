// DSpark in serving form: the block pass fills a block, then the slots are drawn from left to right, each slot's logits
// corrected from the token drawn before it. The confidence head may end a proposal: whether a slot is offered hangs on
// its state and on the tokens before it alone, never on the token drawn in it, so rejection sampling stays exact.
// Source: reference algorithms.md 8, 20. Dims: R open blocks, D hidden size, r rank, V draft vocabulary.
#include <algorithm>
#include <optional>
#include <utility>

#include "draft/block/proposer.h"
#include "draft/choose_token.h"
#include "draft/dspark/dspark.h"
#include "draft/dspark/heads.h"
#include "draft/dspark/weights.h"
#include "draft/layer_checks.h"
#include "kernels/ops.h"

namespace speculators {
namespace {

// A block that takes more tokens.
struct OpenBlock {
  size_t request = 0;
  int64_t row = 0;       // of the block's next slot in the output of the pass
  int64_t num_left = 0;  // tokens
  int32_t previous = 0;  // the token before the slot
  float chance = 1;      // estimated, that everything drawn so far and this slot's token are accepted
  HeadRow head;          // its rows of embeddings and memories are the block's own
};

// The recurrent head reads the anchor's slot even if that predicts nothing.
int64_t first_wanted_slot(const DSparkConfig& config) {
  return config.is_recurrent() ? 0 : config.first_predicting_slot();
}

struct Heads {
  std::optional<MarkovHead> markov;
  std::optional<ConfidenceHead> confidence;
};

class DSparkProposer : public BlockProposer {
 public:
  // `heads` read out of `weights`, which stay open here.
  DSparkProposer(const DSparkConfig& config, Heads heads, TensorFile weights, const fs::path& verifier_folder)
      : BlockProposer(config, std::move(weights), verifier_folder, first_wanted_slot(config)),
        markov_(std::move(heads.markov)),
        confidence_(std::move(heads.confidence)) {}

 private:
  std::vector<Proposal> draft(std::span<const ProposalRequest> requests, const BlockOutput& output) override;
  void open_blocks(std::span<const ProposalRequest> requests);
  void read_slots(const BlockOutput& output);
  void drop_unlikely(std::span<const ProposalRequest> requests);
  void correct_logits(const BlockOutput& output);

  std::optional<MarkovHead> markov_;
  std::optional<ConfidenceHead> confidence_;
  std::vector<OpenBlock> open_;
  std::vector<HeadRow> rows_;
  Buffer embeddings_, memories_, factors_, bias_;
};

std::vector<Proposal> DSparkProposer::draft(std::span<const ProposalRequest> requests, const BlockOutput& output) {
  std::vector<Proposal> proposals(requests.size());
  open_blocks(requests);
  for (int64_t i = 0; i < num_leading_rows(); ++i) {  // the token before the first slot is the anchor's again
    read_slots(output);
    correct_logits(output);
    for (OpenBlock& block : open_) ++block.row;
  }
  while (!open_.empty()) {
    read_slots(output);
    drop_unlikely(requests);
    correct_logits(output);
    for (OpenBlock& block : open_) {
      const std::span logits(output.logits + block.row * vocab_size(), static_cast<size_t>(vocab_size()));
      block.previous = choose_token(logits, requests[block.request], draft_to_verifier(), proposals[block.request]);
      ++block.row;
      --block.num_left;
    }
    std::erase_if(open_, [](const OpenBlock& block) { return block.num_left == 0; });
  }
  return proposals;
}

void DSparkProposer::open_blocks(std::span<const ProposalRequest> requests) {
  open_.clear();
  int64_t row = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].num_tokens == 0) continue;
    open_.push_back({.request = i, .row = row, .num_left = requests[i].num_tokens});
    open_.back().previous = requests[i].tokens.back();
    row += num_leading_rows() + requests[i].num_tokens;
  }
  if (!markov_) return;
  const auto size = static_cast<int64_t>(open_.size()) * markov_->rank();
  float *embedding = embeddings_.at_least(size), *memory = memories_.at_least(size);
  std::fill_n(memory, size, 0.0f);
  for (OpenBlock& block : open_) {
    block.head.embedding = std::exchange(embedding, embedding + markov_->rank());
    block.head.memory = std::exchange(memory, memory + markov_->rank());
  }
}

void DSparkProposer::read_slots(const BlockOutput& output) {
  for (OpenBlock& block : open_) {
    block.head.state = output.states + block.row * hidden_size();
    if (markov_) markov_->embed(block.previous, block.head.embedding);
  }
}

void DSparkProposer::drop_unlikely(std::span<const ProposalRequest> requests) {
  if (!confidence_) return;
  std::erase_if(open_, [&](OpenBlock& block) {
    const float least = requests[block.request].min_confidence;
    if (least <= 0) return false;
    block.chance *= confidence_->chance(block.head);
    return block.chance < least;
  });
}

void DSparkProposer::correct_logits(const BlockOutput& output) {
  if (!markov_ || open_.empty()) return;
  rows_.clear();
  for (const OpenBlock& block : open_) rows_.push_back(block.head);
  const auto num_rows = static_cast<int64_t>(rows_.size());
  float* factors = factors_.at_least(num_rows * markov_->rank());
  markov_->factors(rows_, factors);
  float* bias = bias_.at_least(num_rows * vocab_size());
  markov_->bias(factors, num_rows, bias);
  for (const OpenBlock& block : open_) {
    add(output.logits + block.row * vocab_size(), bias, vocab_size());
    bias += vocab_size();
  }
}

}  // namespace

std::unique_ptr<Proposer> make_dspark_proposer(const Speculator& speculator, const fs::path& verifier_folder) {
  const std::string place = (speculator.folder / "config.json").string();
  const DSparkConfig config = parse_dspark_config(speculator.config, speculator.layer_config, place);
  TensorFile weights = TensorFile::open_folder(speculator.folder);
  check_loaded_tensors(dspark_weights(config), weights);
  check_verifier(verifier_folder, config.layer, config.aux_layer_ids);
  Heads heads;
  if (config.has_markov_head()) heads.markov.emplace(weights, config);
  if (config.enable_confidence_head) heads.confidence.emplace(weights, config);
  return std::make_unique<DSparkProposer>(config, std::move(heads), std::move(weights), verifier_folder);
}

}  // namespace speculators
