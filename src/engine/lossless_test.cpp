// Losslessness as a statement about distributions: whole answers of the engine, plain and speculative, against the
// probabilities worked out from the fake verifier's logits.
#include <gmock/gmock.h>

#include <cmath>

#include "engine/engine.h"
#include "tests/support/fake_models.h"
#include "tests/support/statistics.h"

namespace speculators {
namespace {

using testing::FakeDraft;
using testing::FakeProposer;
using testing::FakeVerifier;
using testing::g_test_score;
using testing::kRejectScore;

constexpr int64_t kVocabulary = 5, kAnswerLength = 3, kNumAnswers = 5 * 5 * 5;
constexpr int64_t kDraws = 60000;
const std::vector<int32_t> kPrompt = {2, 0, 4};

std::vector<float> next_probabilities(const FakeVerifier& verifier, const std::vector<int32_t>& context,
                                      const SamplingParams& params) {
  std::vector<float> row = verifier.logits(context);
  std::vector<int32_t> scratch;
  to_distribution(row, params, scratch);
  return row;
}

// Of every answer of three tokens, in base 5.
std::vector<double> answer_probabilities(const FakeVerifier& verifier, const SamplingParams& params) {
  std::vector<double> probabilities(kNumAnswers);
  for (int64_t code = 0; code < kNumAnswers; ++code) {
    std::vector<int32_t> context = kPrompt;
    double probability = 1;
    for (const int64_t token : {code / 25, code / 5 % 5, code % 5}) {
      probability *= next_probabilities(verifier, context, params)[token];
      context.push_back(static_cast<int32_t>(token));
    }
    probabilities[code] = probability;
  }
  return probabilities;
}

std::vector<int64_t> count_answers(FakeVerifier& verifier, Proposer* proposer, SamplingParams params) {
  std::vector<int64_t> counts(kNumAnswers);
  Engine engine(verifier, proposer, {.max_sequences = 16});
  for (int64_t i = 0; i < kDraws; ++i) {
    params.seed = static_cast<uint64_t>(i);  // neighbouring seeds must be independent too
    engine.submit({.id = i, .prompt = kPrompt, .max_tokens = kAnswerLength, .sampling = params});
  }
  while (!engine.idle()) {
    for (const Finished& one : engine.round()) ++counts[one.tokens[0] * 25 + one.tokens[1] * 5 + one.tokens[2]];
  }
  return counts;
}

class Lossless : public ::testing::TestWithParam<std::tuple<FakeDraft, SamplingParams>> {};

TEST_P(Lossless, AnswersFollowTheVerifiersDistribution) {
  const auto& [draft, params] = GetParam();
  FakeVerifier verifier(kVocabulary);
  FakeProposer proposer(verifier, draft, 3);
  EXPECT_LT(g_test_score(count_answers(verifier, &proposer, params), answer_probabilities(verifier, params)),
            kRejectScore);
}

INSTANTIATE_TEST_SUITE_P(DraftsAndParams, Lossless,
                         ::testing::Combine(::testing::Values(FakeDraft::kSampling, FakeDraft::kMixed,
                                                              FakeDraft::kRight),
                                            ::testing::Values(SamplingParams{.temperature = 1},
                                                              SamplingParams{.temperature = 0.5, .top_k = 3},
                                                              SamplingParams{.temperature = 1.5, .top_p = 0.8},
                                                              SamplingParams{.temperature = 1, .min_p = 0.3})));

TEST(PlainDecoding, AnswersFollowTheVerifiersDistribution) {
  FakeVerifier verifier(kVocabulary);
  const SamplingParams params{.temperature = 1};
  EXPECT_LT(g_test_score(count_answers(verifier, nullptr, params), answer_probabilities(verifier, params)),
            kRejectScore);
}

TEST(LosslessCheck, ATemperatureOffByFivePercentIsSeen) {
  FakeVerifier verifier(kVocabulary);
  FakeProposer proposer(verifier, FakeDraft::kSampling, 3);
  EXPECT_GT(g_test_score(count_answers(verifier, &proposer, {.temperature = 1.05}),
                         answer_probabilities(verifier, {.temperature = 1})),
            kRejectScore);
}

}  // namespace
}  // namespace speculators
