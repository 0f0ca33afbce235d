// A verifier and proposers without weights, for tests of engine, server and evaluation: every row's logits are a pure
// function of its context, so that any answer can be worked out without the engine. The fake verifier keeps its context
// in a real KvSequence, so a cache that is not truncated right changes the answer. Free of gtest: broken promises of
// the engine throw std::logic_error.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "draft/proposer.h"
#include "verifier/verifier.h"

namespace speculators::testing {

class FakeVerifier : public Verifier {
 public:
  // `context` tokens decide about the next one.
  explicit FakeVerifier(int64_t vocab_size, int64_t max_position_embeddings = 64, int64_t context = 1000);

  const ModelConfig& config() const override { return config_; }
  std::unique_ptr<KvPool> make_kv_pool() const override;
  // Hidden state of row j at layer L, [Dv = 3]: token j, position j, L.
  VerifierOutput forward(const VerifierBatch& batch) override;
  int64_t weight_bytes() const override { return 1; }

  // Logits behind `tokens`; [Vv].
  std::vector<float> logits(std::span<const int32_t> tokens) const;
  int32_t greedy_token(std::span<const int32_t> tokens) const;
  // The answer of plain greedy decoding: up to max_tokens ids, ending with the first stop token.
  std::vector<int32_t> greedy_answer(std::vector<int32_t> prompt, int64_t max_tokens,
                                     const std::vector<int32_t>& stop_token_ids = {}) const;
  int64_t num_passes() const { return num_passes_; }
  int64_t most_rows() const { return most_rows_; }  // largest batch seen

 private:
  ModelConfig config_;
  int64_t context_;
  std::vector<float> logits_, hidden_;
  int64_t num_passes_ = 0, most_rows_ = 0;
};

enum class FakeDraft {
  kRight,     // always the verifier's greedy token
  kWrong,     // never
  kMixed,     // right three times of four, by the context
  kSampling,  // draws from a fixed distribution over even ids, and reports it
  kShort,     // right, but offers one token less than asked for
};

// Checks at every call that each verified row comes exactly once, with its own aux hidden states.
class FakeProposer : public Proposer {
 public:
  FakeProposer(const FakeVerifier& verifier, FakeDraft kind, int64_t max_proposal_length);
  std::unique_ptr<DraftSequence> make_sequence() const override;
  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override;
  const std::vector<int64_t>& aux_layer_ids() const override { return aux_layer_ids_; }
  int64_t max_proposal_length() const override { return max_proposal_length_; }
  std::span<const int32_t> draft_to_verifier() const override { return draft_to_verifier_; }

 private:
  Proposal propose_one(const ProposalRequest& request) const;
  int32_t next_token(const std::vector<int32_t>& context, Proposal& proposal, const ProposalRequest& request) const;

  const FakeVerifier& verifier_;
  FakeDraft kind_;
  int64_t max_proposal_length_;
  std::vector<int64_t> aux_layer_ids_ = {1, 0};
  std::vector<int32_t> draft_to_verifier_;
};

}  // namespace speculators::testing
