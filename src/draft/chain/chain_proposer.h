// What EAGLE-3 and P-EAGLE have in common in serving form. Row j of a sequence is (embed(x_{j+1}), g_j) at position
// j + 1 and predicts x_{j+2}; its keys and values stay in slot j. What is drafted behind the verified rows lies in the
// slots n, n+1, ... and is dropped again: once verified, its tokens come back with real features.
// Source: reference algorithms.md 5.3, 5.4, 6.4, 20. Dims: M rows, D hidden size, A aux layers, V draft vocabulary.
// Not thread-safe: buffers are kept from call to call.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "draft/cached_sequence.h"
#include "draft/chain/aux_fusion.h"
#include "draft/chain/config.h"
#include "draft/draft_layers.h"
#include "draft/draft_vocabulary.h"
#include "draft/proposer.h"
#include "draft/speculator.h"

namespace speculators {

class ChainProposer : public Proposer {
 public:
  std::unique_ptr<DraftSequence> make_sequence() const override { return std::make_unique<CachedSequence>(*pool_); }
  const std::vector<int64_t>& aux_layer_ids() const override { return config_.aux_layer_ids; }
  int64_t max_proposal_length() const override { return speculative_tokens_; }
  std::span<const int32_t> draft_to_verifier() const override { return vocabulary_.draft_to_verifier(); }

 protected:
  // `weights` was checked against its table.
  ChainProposer(ChainConfig config, int64_t speculative_tokens, TensorFile weights, const fs::path& verifier_folder);

  // Starts a pass: the requests' new rows, in order, fill embeds_, hidden_ and rows_. The last row of a request that
  // asks for tokens is wanted. `num_more` rows may be appended behind them. Returns the number of rows.
  int64_t start_verified_rows(std::span<const ProposalRequest> requests, int64_t num_more);
  // One more row of `cache`, in a new slot: part of the chain behind `num_verified` rows, and wanted. As trained, a
  // sliding layer lets a chain see what the row it started from saw, moved on by `advance`, and all of itself.
  void add_chain_row(KvSequence& cache, int64_t num_verified, int64_t advance);
  // embeds_ and `hidden` [M, D] through the layers; the wanted rows' output takes the front of `hidden`, normed that of
  // normed_.
  void run_rows(float* hidden);

  ChainConfig config_;
  int64_t speculative_tokens_, hidden_size_, window_;
  float eps_;
  AuxFusion fusion_;
  DraftLayers layers_;
  std::vector<float> hidden_norm_, norm_;  // [D]
  std::unique_ptr<KvPool> pool_;
  DraftVocabulary vocabulary_;

  std::vector<DraftRow> rows_;
  Buffer aux_, embeds_, hidden_, inputs_, normed_, logits_;

 private:
  void add_verified_rows(const ProposalRequest& request);
};

}  // namespace speculators
