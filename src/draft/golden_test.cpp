// Proposers against upstream: speculators that upstream's save_pretrained wrote (tests/golden/draft, made by
// tools/make_draft_goldens.py) must give upstream's logits. Both sides compute in fp32 over the same bf16 weights and
// differ in the order of sums alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "draft/draft_algorithm.h"

namespace speculators {
namespace {

struct Case {
  const char* name;
  int64_t num_tokens;
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class ProposerGolden : public ::testing::TestWithParam<std::tuple<Case, int64_t>> {
 protected:
  ProposerGolden()
      : folder_(fs::path(SPECULATORS_SOURCE_DIR) / "tests" / "golden" / "draft" / std::get<0>(GetParam()).name),
        num_rows_(std::get<1>(GetParam())),
        expected_(TensorFile::open(folder_ / "expected.safetensors")),
        proposer_(load_proposer(folder_)) {
    for (int64_t id : to_ints(expected_.get("tokens"), "tokens")) tokens_.push_back(static_cast<int32_t>(id));
    aux_ = to_floats(expected_.get("aux"), "aux");
    for (int64_t id : to_ints(expected_.get("draft." + std::to_string(num_rows_)), "draft")) {
      draft_.push_back(static_cast<int32_t>(id));
    }
  }

  // The proposal of a sequence with `num_rows_` verified rows.
  Proposal propose(float temperature, uint64_t seed, float min_confidence = 0) {
    const auto sequence = proposer_->make_sequence();
    std::mt19937_64 random(seed);
    const int64_t width = expected_.get("aux").shape[1];
    const ProposalRequest request = {
        .sequence = sequence.get(),
        .tokens = std::span(tokens_).first(num_rows_ + 1),
        .aux = std::span(aux_).first(num_rows_ * width),
        .num_tokens = std::get<0>(GetParam()).num_tokens,
        .temperature = temperature,
        .random = &random,
        .min_confidence = min_confidence,
    };
    return proposer_->propose({&request, 1}).at(0);
  }

  fs::path folder_;
  int64_t num_rows_;
  TensorFile expected_;
  std::unique_ptr<Proposer> proposer_;
  std::vector<int32_t> tokens_, draft_;
  std::vector<float> aux_;
};

std::vector<float> softmax_rows(std::vector<float> logits, int64_t width) {
  for (size_t begin = 0; begin < logits.size(); begin += width) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(logits[begin + i]));
    for (int64_t i = 0; i < width; ++i)
      logits[begin + i] = static_cast<float>(std::exp(double{logits[begin + i]}) / sum);
  }
  return logits;
}

TEST_P(ProposerGolden, DraftsUpstreamsTokens) { EXPECT_EQ(propose(0, 0).tokens, draft_); }

TEST_P(ProposerGolden, ReportsUpstreamsDistributions) {
  const TensorView& logits = expected_.get("logits." + std::to_string(num_rows_));
  const std::vector<float> expected = softmax_rows(to_floats(logits, "logits"), logits.shape[1]);
  // Upstream's chain feeds its argmax back: take the first seed that happens to draw the same tokens.
  Proposal proposal;
  for (uint64_t seed = 0; seed < 20000 && proposal.tokens != draft_; ++seed) proposal = propose(1, seed);
  ASSERT_EQ(proposal.tokens, draft_) << "no seed draws the greedy chain";
  EXPECT_THAT(proposal.probabilities, ::testing::Pointwise(::testing::FloatNear(3e-6f), expected));
}

// Upstream gives the chance of each slot when the tokens before it are drafted greedily.
class ConfidenceGolden : public ProposerGolden {};

TEST_P(ConfidenceGolden, ProposalsEndWhereUpstreamsChancesMultiplyToTooLittle) {
  const std::vector<float> chances = to_floats(expected_.get("chances." + std::to_string(num_rows_)), "chances");
  double product = 1;
  for (size_t length = 0; length < chances.size(); ++length) {
    product *= chances[length];
    EXPECT_GT(propose(0, 0, static_cast<float>(product * 0.9999)).tokens.size(), length);
    EXPECT_EQ(propose(0, 0, static_cast<float>(product * 1.0001)).tokens.size(), length);
  }
}

std::string name_of_case(const ::testing::TestParamInfo<std::tuple<Case, int64_t>>& info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::to_string(std::get<1>(info.param));
}

const auto kDSparkCases =
    ::testing::Combine(::testing::Values(Case{"dspark_vanilla", 4}, Case{"dspark_gated_behind_anchor", 3},
                                         Case{"dspark_rnn_full_vocabulary", 4}, Case{"dspark_rnn_behind_anchor", 3}),
                       ::testing::Values(1, 4, 12));
INSTANTIATE_TEST_SUITE_P(DSpark, ProposerGolden, kDSparkCases, name_of_case);
INSTANTIATE_TEST_SUITE_P(DSpark, ConfidenceGolden, kDSparkCases, name_of_case);
INSTANTIATE_TEST_SUITE_P(Mtp, ProposerGolden,
                         ::testing::Combine(::testing::Values(Case{"mtp_qwen3", 4}, Case{"mtp_llama_bias", 3}),
                                            ::testing::Values(1, 4, 12)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(XPress, ProposerGolden,
                         ::testing::Combine(::testing::Values(Case{"xpress_settled", 4},
                                                              Case{"xpress_one_pass_full_vocabulary", 4},
                                                              Case{"xpress_two_passes_from_anchor", 5}),
                                            ::testing::Values(1, 4, 12)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(DFlash2, ProposerGolden,
                         ::testing::Combine(::testing::Values(Case{"dflash2_sliding_and_full", 3},
                                                              Case{"dflash2_anchor_causal_three_taps", 4}),
                                            ::testing::Values(1, 4, 12)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(
    Upstream, ProposerGolden,
    ::testing::Combine(::testing::Values(Case{"eagle3_llama", 4}, Case{"eagle3_qwen3_two_layers", 4},
                                         Case{"eagle3_llama_bias_full_vocabulary", 4}, Case{"peagle_llama", 4},
                                         Case{"peagle_qwen3_two_layers", 4}, Case{"dflash_causal_sliding_and_full", 3},
                                         Case{"dflash_anchor_bidirectional_sliding", 4},
                                         Case{"dflash_full_vocabulary", 3}),
                       ::testing::Values(1, 4, 12)),
    name_of_case);

}  // namespace
}  // namespace speculators
