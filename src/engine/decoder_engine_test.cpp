// The engine over a real decoder: the bits of a row do not depend on the batch, so answers are equal whatever is
// proposed and whoever else runs.
#include <gmock/gmock.h>

#include <map>

#include "engine/engine.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using testing::TemporaryFolder;

struct NoState : DraftSequence {};

// Offers what follows the prompt in a known answer, with every third token spoilt.
class SpoiltProposer : public Proposer {
 public:
  explicit SpoiltProposer(const std::map<std::vector<int32_t>, std::vector<int32_t>>& answers) : answers_(answers) {}
  std::unique_ptr<DraftSequence> make_sequence() const override { return std::make_unique<NoState>(); }
  std::vector<Proposal> propose(std::span<const ProposalRequest> requests) override {
    std::vector<Proposal> proposals;
    for (const ProposalRequest& request : requests) {
      Proposal& proposal = proposals.emplace_back();
      const int64_t length = request.first + static_cast<int64_t>(request.tokens.size());  // prompt and answer so far
      for (int64_t k = 0; k < request.num_tokens; ++k) proposal.tokens.push_back(token_at(length + k));
    }
    return proposals;
  }
  const std::vector<int64_t>& aux_layer_ids() const override { return aux_layer_ids_; }
  int64_t max_proposal_length() const override { return 4; }
  std::span<const int32_t> draft_to_verifier() const override { return {}; }

 private:
  // All answers share a prompt length of 6, so that a position names the same place in each; the first one serves.
  int32_t token_at(int64_t position) const {
    const std::vector<int32_t>& answer = answers_.begin()->second;
    const int64_t i = position - 6;
    if (i % 3 == 2 || i >= static_cast<int64_t>(answer.size())) return static_cast<int32_t>(position % 40);
    return answer[i];
  }
  const std::map<std::vector<int32_t>, std::vector<int32_t>>& answers_;
  std::vector<int64_t> aux_layer_ids_ = {1, 2};
};

std::vector<int32_t> make_prompt(int64_t salt) {
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < 6; ++i) prompt.push_back(static_cast<int32_t>((i * i * 7 + salt * 11 + 1) % 40));
  return prompt;
}

std::map<std::vector<int32_t>, std::vector<int32_t>> answers_of(Verifier& verifier, Proposer* proposer,
                                                                const EngineOptions& options, double temperature) {
  Engine engine(verifier, proposer, options);
  for (int64_t id = 0; id < 5; ++id) {
    engine.submit({.id = id,
                   .prompt = make_prompt(id),
                   .max_tokens = 40,
                   .sampling = {.temperature = temperature, .seed = static_cast<uint64_t>(id)}});
  }
  std::map<std::vector<int32_t>, std::vector<int32_t>> answers;
  while (!engine.idle()) {
    for (Finished& one : engine.round()) answers[make_prompt(one.id)] = std::move(one.tokens);
  }
  return answers;
}

class DecoderEngine : public ::testing::TestWithParam<std::string> {
 protected:
  DecoderEngine() {
    const TemporaryFolder folder;
    testing::write_tiny_verifier(folder.path(), testing::tiny_config(GetParam()));
    verifier_ = load_verifier(folder.path());
  }
  std::unique_ptr<Verifier> verifier_;
};
INSTANTIATE_TEST_SUITE_P(Family, DecoderEngine, ::testing::Values("llama", "qwen3"));

TEST_P(DecoderEngine, SpeculativeGreedyAnswersEqualPlainOnes) {
  const auto plain = answers_of(*verifier_, nullptr, {.max_sequences = 1}, 0);
  SpoiltProposer proposer(plain);
  EXPECT_EQ(answers_of(*verifier_, &proposer, {.max_sequences = 1}, 0), plain);
  EXPECT_EQ(answers_of(*verifier_, &proposer, {.max_sequences = 3, .prefill_chunk = 4}, 0), plain);
}

TEST_P(DecoderEngine, SampledAnswersDoNotDependOnTheBatch) {
  const auto alone = answers_of(*verifier_, nullptr, {.max_sequences = 1}, 0.8);
  EXPECT_EQ(answers_of(*verifier_, nullptr, {.max_sequences = 5, .prefill_chunk = 7}, 0.8), alone);
}

}  // namespace
}  // namespace speculators
