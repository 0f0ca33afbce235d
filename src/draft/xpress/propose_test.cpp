#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <list>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/speculator_for_test.h"
#include "draft/xpress/config.h"

namespace speculators {
namespace {

using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t kAuxWidth = 3 * 16, kNumTokens = 5;

Speculator xpress(int64_t num_jacobi_passes) {
  XPressConfig config;
  config.layer = testing::tiny_layers("qwen3", {"sliding_attention"});
  config.draft_vocab_size = 12;
  config.block_size = 6;
  config.aux_layer_ids = {0, 2, 6};
  config.mask_token_id = 3;
  config.xpress_rank = 8;
  config.num_jacobi_passes = num_jacobi_passes;
  return testing::new_speculator("xpress", config.layer, to_json(config), config.speculative_tokens());
}

class XPressProposer : public ::testing::Test {
 protected:
  XPressProposer() {
    std::mt19937_64 random(3);
    for (int i = 0; i < 30; ++i) tokens_.push_back(static_cast<int32_t>(random() % 40));
    for (int i = 0; i < 30 * kAuxWidth; ++i) aux_.push_back(static_cast<float>(random() >> 40) * 0x1p-23f - 1);
  }

  // The weights are the same whatever the number of passes.
  std::unique_ptr<Proposer> load(int64_t num_jacobi_passes) {
    testing::TemporaryFolder& folder = folders_.emplace_back();
    return load_proposer(testing::write_speculator(folder.path(), xpress(num_jacobi_passes)));
  }

  ProposalRequest rows(DraftSequence& sequence, int64_t first, int64_t end, int64_t num_tokens) {
    return {.sequence = &sequence,
            .first = first,
            .tokens = std::span(tokens_).subspan(first, end - first + 1),
            .aux = std::span(aux_).subspan(first * kAuxWidth, (end - first) * kAuxWidth),
            .num_tokens = num_tokens,
            .random = &random_};
  }

  // Behind `end` rows of the document.
  Proposal propose(Proposer& proposer, int64_t end, float temperature = 0) {
    const auto sequence = proposer.make_sequence();
    ProposalRequest request = rows(*sequence, 0, end, kNumTokens);
    request.temperature = temperature;
    return proposer.propose({&request, 1}).at(0);
  }

  std::list<testing::TemporaryFolder> folders_;
  std::vector<int32_t> tokens_;
  std::vector<float> aux_;
  std::mt19937_64 random_{1};
};

// So cold that a draw is the argmax.
TEST_F(XPressProposer, EnoughPassesGiveWhatOneTokenAfterTheOtherGives) {
  const auto proposer = load(kNumTokens);
  for (int64_t end = 0; end < 25; ++end)
    EXPECT_THAT(propose(*proposer, end).tokens, ElementsAreArray(propose(*proposer, end, 1e-4f).tokens)) << end;
}

TEST_F(XPressProposer, AsManyLeadingTokensAreSettledAsThereWerePasses) {
  const auto settled = load(kNumTokens);
  for (int64_t passes = 1; passes < kNumTokens; ++passes) {
    const auto proposer = load(passes);
    for (int64_t end = 0; end < 25; ++end) {
      const auto some = propose(*proposer, end).tokens, all = propose(*settled, end).tokens;
      EXPECT_TRUE(std::equal(some.begin(), some.begin() + passes, all.begin())) << passes << " passes, row " << end;
    }
  }
}

TEST_F(XPressProposer, EveryPassMovesSomeProposal) {
  std::vector<int> num_changed(kNumTokens, 0);
  std::vector<std::vector<int32_t>> before(25);
  for (int64_t passes = 0; passes < 3; ++passes) {
    const auto proposer = load(passes);
    for (int64_t end = 0; end < 25; ++end) {
      const auto tokens = propose(*proposer, end).tokens;
      num_changed[passes] += tokens != before[end];
      before[end] = tokens;
    }
  }
  EXPECT_THAT(std::span(num_changed).first(3), Each(::testing::Gt(0)));
}

// A call may bring no new row; the token in front of the newest one is then known from the call before.
TEST_F(XPressProposer, RemembersTheTokenInFrontOfTheNewestOne) {
  const auto proposer = load(3);
  const auto sequence = proposer->make_sequence();
  ProposalRequest request = rows(*sequence, 0, 8, 0);
  proposer->propose({&request, 1});
  request = rows(*sequence, 8, 8, kNumTokens);
  EXPECT_THAT(proposer->propose({&request, 1}).at(0).tokens, ElementsAreArray(propose(*proposer, 8).tokens));
}

TEST_F(XPressProposer, AnUnsureGreedyProposalEndsEarly) {
  const auto proposer = load(6);
  const auto sequence = proposer->make_sequence();
  ProposalRequest request = rows(*sequence, 0, 8, kNumTokens);
  request.min_confidence = 1;
  EXPECT_TRUE(proposer->propose({&request, 1}).at(0).tokens.empty());
}

TEST_F(XPressProposer, RejectsATokenEmbeddingThatIsNotFinite) {
  const auto whole = load(1);
  const fs::path folder = folders_.back().path() / "speculator";
  const TensorFile file = TensorFile::open(folder / "model.safetensors");
  const std::vector<float> damaged(40 * 8, std::nanf(""));
  const auto replacement = make_tensor({40, 8}, std::span<const float>(damaged));
  NamedTensors tensors;
  for (const auto& [name, tensor] : file.tensors())
    tensors.emplace_back(name, name == "refiner_head.token_embed.weight" ? replacement.view() : tensor);
  write_safetensors(folder / "damaged.safetensors", tensors);
  fs::rename(folder / "damaged.safetensors", folder / "model.safetensors");
  const auto proposer = load_proposer(folder);
  EXPECT_THAT([&] { propose(*proposer, 9); },
              ThrowsMessage<DataError>(HasSubstr("refiner_head.token_embed.weight: row ")));
}

}  // namespace
}  // namespace speculators
