// A draft that fills blocks, in serving form. The context of a sequence is keys and values of hidden_norm(fc(g_i)) at
// position i, in every layer, kept in slot i. A round runs one block [x_n, mask, ..., mask] at positions n ... n+L-1
// over context and itself; its keys and values are dropped again. What is made of its states is the algorithm's.
// Source: reference algorithms.md 7.3, 7.4, 20. Not thread-safe: buffers are kept from call to call.
// Dims: M rows, D hidden size, A aux layers, L block size, V draft vocabulary.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/files.h"
#include "draft/block/config.h"
#include "draft/cached_sequence.h"
#include "draft/draft_layers.h"
#include "draft/draft_vocabulary.h"
#include "draft/proposer.h"

namespace speculators {

// Whose states an algorithm reads. Logits are worked out for the same rows; where whole starts of blocks (every slot
// through the last that predicts one of the K tokens) or whole blocks are read, for the slots that predict a token
// only.
enum class BlockStates { kFromFirstWanted, kWholeStart, kWholeBlock };

class BlockProposer : public Proposer {
 public:
  // `weights` were checked against their table. `first_wanted`: the first slot whose state is wanted, at most the first
  // one that predicts.
  BlockProposer(const BlockConfig& config, TensorFile weights, const fs::path& verifier_folder, int64_t first_wanted,
                BlockStates states = BlockStates::kFromFirstWanted);

  std::unique_ptr<DraftSequence> make_sequence() const override { return std::make_unique<CachedSequence>(*pool_); }
  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override;
  const std::vector<int64_t>& aux_layer_ids() const override { return config_.aux_layer_ids; }
  int64_t max_proposal_length() const override { return config_.speculative_tokens(); }
  std::span<const int32_t> draft_to_verifier() const override { return vocabulary_.draft_to_verifier(); }

 protected:
  // What the pass left of every request that asks for tokens: one row for each slot from `first_wanted` through the
  // last that predicts one of the K tokens, request by request (BlockStates says where the two differ).
  struct BlockOutput {
    float* states = nullptr;  // normed [M, D]
    float* logits = nullptr;  // of the frozen head [M, V]
  };
  virtual std::vector<Proposal> draft(std::span<const ProposalRequest> requests, const BlockOutput& output) = 0;

  KvPool& pool() const { return *pool_; }  // for sequences that derive from CachedSequence
  int64_t hidden_size() const { return hidden_size_; }
  int64_t vocab_size() const { return vocabulary_.size(); }
  // Rows of a request in BlockOutput before the first that predicts.
  int64_t num_leading_rows() const { return config_.first_predicting_slot() - first_wanted_; }

 private:
  void check(const ProposalRequest& request) const;
  void store_context(std::span<const ProposalRequest> requests);
  BlockOutput run_blocks(std::span<const ProposalRequest> requests);
  void add_block(const ProposalRequest& request, float* embeds);
  const float* predicting_states(std::span<const ProposalRequest> requests, const float* states);
  DraftRow block_row(KvSequence& cache, int64_t num_verified, int64_t slot) const;

  BlockConfig config_;
  int64_t first_wanted_, hidden_size_, window_;
  BlockStates states_;
  float eps_;
  PackedLinear fc_;
  std::vector<float> hidden_norm_, norm_;  // [D]
  DraftLayers layers_;
  std::unique_ptr<KvPool> pool_;
  DraftVocabulary vocabulary_;

  std::vector<DraftRow> rows_;
  Buffer aux_, context_, embeds_, inputs_, logits_;
};

}  // namespace speculators
