#include "draft/choose_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/statistics.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pointwise;

const std::vector<float> kLogits = {1, 3, -2, 3};

Proposal choose(float temperature, std::mt19937_64& random, std::span<const int32_t> draft_to_verifier = {}) {
  Proposal proposal;
  std::vector<float> logits = kLogits;
  choose_token(logits, {.temperature = temperature, .random = &random}, draft_to_verifier, proposal);
  return proposal;
}

std::vector<double> expected_probabilities(double temperature) {
  std::vector<double> values;
  double sum = 0;
  for (float logit : kLogits) sum += std::exp(logit / temperature);
  for (float logit : kLogits) values.push_back(std::exp(logit / temperature) / sum);
  return values;
}

TEST(ChooseToken, TakesTheFirstMaximumAtTemperatureZero) {
  std::mt19937_64 random(1);
  const Proposal proposal = choose(0, random);
  EXPECT_THAT(proposal.tokens, ElementsAre(1));
  EXPECT_THAT(proposal.probabilities, IsEmpty());
}

TEST(ChooseToken, TranslatesToVerifierIds) {
  std::mt19937_64 random(1);
  EXPECT_THAT(choose(0, random, std::vector<int32_t>{5, 17, 20, 31}).tokens, ElementsAre(17));
}

Proposal choose_of_three(float temperature, std::mt19937_64& random) {
  Proposal proposal;
  const std::vector<int32_t> ids = {4, 1, 5};
  std::vector<float> scores = {1, 3, 2};
  choose_candidate(ids, scores, {.temperature = temperature, .random = &random}, /*vocab_size=*/6, proposal);
  return proposal;
}

TEST(ChooseCandidate, TakesTheBestAtTemperatureZero) {
  std::mt19937_64 random(1);
  const Proposal proposal = choose_of_three(0, random);
  EXPECT_THAT(proposal.tokens, ElementsAre(1));
  EXPECT_THAT(proposal.probabilities, IsEmpty());
}

// exp(-1), exp(0), exp(1) over their sum 4.0862 at temperature 1.
TEST(ChooseCandidate, ReportsTheProbabilitiesOfTheCandidatesAmongAllTokens) {
  std::mt19937_64 random(1);
  EXPECT_THAT(choose_of_three(1, random).probabilities,
              Pointwise(::testing::FloatNear(1e-5f), {0.0f, 0.665241f, 0.0f, 0.0f, 0.090031f, 0.244728f}));
}

TEST(ChooseToken, UsesNoRandomnessWhenGreedy) {
  std::mt19937_64 random(1);
  choose(0, random);
  EXPECT_EQ(random, std::mt19937_64(1));
}

TEST(ChooseToken, ReportsTheSoftmaxAtItsTemperature) {
  std::mt19937_64 random(1);
  const std::vector<double> expected = expected_probabilities(2);
  EXPECT_THAT(choose(2, random).probabilities,
              Pointwise(::testing::FloatNear(1e-6f), std::vector<float>(expected.begin(), expected.end())));
}

TEST(ChooseToken, DrawsFromTheDistributionItReports) {
  std::mt19937_64 random(1);
  std::vector<int64_t> counts(kLogits.size(), 0);
  for (int i = 0; i < 20000; ++i) ++counts[choose(2, random).tokens.at(0)];
  EXPECT_LT(testing::g_test_score(counts, expected_probabilities(2)), testing::kRejectScore);
}

TEST(IsUnlikely, MultipliesTheLargestProbabilities) {
  float chance = 0.5f;
  const double largest = expected_probabilities(0.7)[1];
  EXPECT_FALSE(is_unlikely(kLogits, {.temperature = 0.7f, .min_confidence = 0.1f}, chance));
  EXPECT_NEAR(chance, 0.5 * largest, 1e-6);
}

TEST(IsUnlikely, TakesTemperatureOneWhereDraftingIsGreedy) {
  float chance = 1;
  EXPECT_FALSE(is_unlikely(kLogits, {.min_confidence = 0.4f}, chance));
  EXPECT_NEAR(chance, expected_probabilities(1)[1], 1e-6);
  EXPECT_TRUE(is_unlikely(kLogits, {.min_confidence = 0.4f}, chance));
}

TEST(IsUnlikely, NeverIsWithoutAThreshold) {
  float chance = 1e-9f;
  EXPECT_FALSE(is_unlikely(kLogits, {}, chance));
}

}  // namespace
}  // namespace speculators
