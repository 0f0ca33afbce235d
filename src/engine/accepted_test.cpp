#include "engine/accepted.h"

#include <gmock/gmock.h>

#include <cmath>

#include "engine/sampling.h"
#include "tests/support/statistics.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using testing::g_test_score;
using testing::kRejectScore;

TEST(AcceptGreedy, KeepsMatchingPrefixThenTheBonusToken) {
  const std::vector<int32_t> proposal = {5, 6, 7};
  const std::vector<int32_t> verifier = {5, 6, 9, 4};  // disagrees at the third token
  const Accepted got = accept_greedy(proposal, verifier);
  EXPECT_THAT(got.tokens, ElementsAre(5, 6, 9));
  EXPECT_EQ(got.num_accepted, 2);  // the bonus token 9 is not counted
}

TEST(AcceptGreedy, AllAcceptedGivesOneTokenMore) {
  const Accepted got = accept_greedy(std::vector<int32_t>{5, 6}, std::vector<int32_t>{5, 6, 4});
  EXPECT_THAT(got.tokens, ElementsAre(5, 6, 4));
  EXPECT_EQ(got.num_accepted, 2);
}

TEST(AcceptGreedy, EmptyProposalIsPlainDecoding) {
  const Accepted got = accept_greedy({}, std::vector<int32_t>{3});
  EXPECT_THAT(got.tokens, ElementsAre(3));
  EXPECT_EQ(got.num_accepted, 0);
}

// Two positions over four tokens; the verifier's rows p0, p1 and the row after both.
const std::vector<double> kP0 = {0.4, 0.3, 0.2, 0.1};
const std::vector<double> kP1 = {0.05, 0.15, 0.3, 0.5};
const std::vector<double> kP2 = {0.25, 0.25, 0.25, 0.25};
constexpr int kDraws = 400000;

std::vector<float> concat(const std::vector<double>& a, const std::vector<double>& b, const std::vector<double>& c) {
  std::vector<float> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.end());
  return all;
}

struct Counts {
  std::vector<int64_t> first = std::vector<int64_t>(4), second = std::vector<int64_t>(4),
                       third = std::vector<int64_t>(4);
  int64_t accepted = 0;
};

// Draws proposals of two tokens from `q` (draft ids; mapped by `map`), accepts, and counts the tokens per position.
Counts count_tokens(const std::vector<float>& target, const std::vector<float>& q, const std::vector<int32_t>& map,
                    bool point_mass) {
  Counts counts;
  std::mt19937_64 random(7);
  for (int i = 0; i < kDraws; ++i) {
    Proposal proposal;
    for (int k = 0; k < 2; ++k) {
      const int32_t draft_id = draw(q, random);
      proposal.tokens.push_back(map.empty() ? draft_id : map[draft_id]);
      if (!point_mass) proposal.probabilities.insert(proposal.probabilities.end(), q.begin(), q.end());
    }
    const Accepted got = accept_sampled(proposal, target, 4, map, random);
    counts.accepted += got.num_accepted;
    ++counts.first[got.tokens[0]];
    if (got.tokens.size() > 1) ++counts.second[got.tokens[1]];
    if (got.tokens.size() > 2) ++counts.third[got.tokens[2]];
  }
  return counts;
}

void expect_lossless(const Counts& counts) {
  EXPECT_LT(g_test_score(counts.first, kP0), kRejectScore);
  EXPECT_LT(g_test_score(counts.second, kP1), kRejectScore);
  EXPECT_LT(g_test_score(counts.third, kP2), kRejectScore);
}

TEST(AcceptSampled, KeepsTheVerifiersDistributionForSampledProposals) {
  expect_lossless(count_tokens(concat(kP0, kP1, kP2), {0.1f, 0.2f, 0.3f, 0.4f}, {}, /*point_mass=*/false));
}

TEST(AcceptSampled, KeepsTheVerifiersDistributionForAReducedVocabulary) {
  expect_lossless(count_tokens(concat(kP0, kP1, kP2), {0.7f, 0.3f}, {1, 3}, /*point_mass=*/false));
}

TEST(AcceptSampled, KeepsTheVerifiersDistributionForPointMasses) {
  expect_lossless(count_tokens(concat(kP0, kP1, kP2), {0.0f, 1.0f, 0.0f, 0.0f}, {}, /*point_mass=*/true));
}

TEST(AcceptSampled, AcceptsOneMinusTotalVariation) {
  // q = p0 reversed: TV = (0.3 + 0.1 + 0.1 + 0.3) / 2 = 0.4 at the first place. At the second, q against p1 is
  // (0.05 + 0.05 + 0 + 0.1) / 2 = 0.1. Expected: 0.6 + 0.6 * 0.9 = 1.14 accepted a round.
  const Counts counts = count_tokens(concat(kP0, kP1, kP2), {0.1f, 0.2f, 0.3f, 0.4f}, {}, false);
  EXPECT_NEAR(static_cast<double>(counts.accepted) / kDraws, 1.14, 0.005);
}

TEST(AcceptSampled, APlantedBiasOfOnePercentIsSeen) {
  std::vector<double> biased = kP0;
  biased[0] += 0.01;
  biased[3] -= 0.01;
  const Counts counts = count_tokens(concat(biased, kP1, kP2), {0.1f, 0.2f, 0.3f, 0.4f}, {}, false);
  EXPECT_GT(g_test_score(counts.first, kP0), kRejectScore);
}

TEST(AcceptSampled, NeverKeepsATokenThatTheVerifierExcludes) {
  const std::vector<float> target = {0.0f, 1.0f, 0.5f, 0.5f};  // two rows over two tokens
  std::mt19937_64 random(3);
  for (int i = 0; i < 1000; ++i) {
    const Accepted got = accept_sampled({{0}, {}}, target, 2, {}, random);
    ASSERT_EQ(got.tokens, std::vector<int32_t>{1});
  }
}

TEST(AcceptSampled, RefusesATokenOutsideTheDraftVocabulary) {
  const std::vector<float> target(8, 0.25f);
  std::mt19937_64 random(3);
  EXPECT_THROW(accept_sampled({{2}, {0.5f, 0.5f}}, target, 4, std::vector<int32_t>{1, 3}, random), std::logic_error);
}

}  // namespace
}  // namespace speculators
