#include "engine/sampling.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "tests/support/statistics.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::ThrowsMessage;

// Logits whose softmax at temperature 1 is 0.4, 0.3, 0.2, 0.1 - in another order.
std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

std::vector<float> distribution(const std::vector<double>& probabilities, const SamplingParams& params) {
  std::vector<float> row = logits_of(probabilities);
  std::vector<int32_t> scratch;
  to_distribution(row, params, scratch);
  return row;
}

TEST(ToDistribution, TemperatureOneIsSoftmax) {
  EXPECT_THAT(distribution({0.2, 0.4, 0.1, 0.3}, {.temperature = 1}),
              Pointwise(FloatNear(1e-6f), {0.2f, 0.4f, 0.1f, 0.3f}));
}

TEST(ToDistribution, LowTemperatureSharpens) {
  // p^2 normalised: 0.04 0.16 0.01 0.09 over 0.30.
  EXPECT_THAT(distribution({0.2, 0.4, 0.1, 0.3}, {.temperature = 0.5}),
              Pointwise(FloatNear(1e-6f), {0.04f / 0.3f, 0.16f / 0.3f, 0.01f / 0.3f, 0.09f / 0.3f}));
}

TEST(ToDistribution, TopKKeepsTheLargest) {
  EXPECT_THAT(distribution({0.2, 0.4, 0.1, 0.3}, {.temperature = 1, .top_k = 2}),
              Pointwise(FloatNear(1e-6f), {0.0f, 0.4f / 0.7f, 0.0f, 0.3f / 0.7f}));
}

TEST(ToDistribution, TopKKeepsTiesAtTheBorder) {
  EXPECT_THAT(distribution({0.25, 0.25, 0.4, 0.1}, {.temperature = 1, .top_k = 2}),
              Pointwise(FloatNear(1e-6f), {0.25f / 0.9f, 0.25f / 0.9f, 0.4f / 0.9f, 0.0f}));
}

TEST(ToDistribution, TopPKeepsTheSmallestSetThatReachesIt) {
  // 0.4 alone misses 0.6, 0.4 + 0.3 reaches it.
  EXPECT_THAT(distribution({0.2, 0.4, 0.1, 0.3}, {.temperature = 1, .top_p = 0.6}),
              Pointwise(FloatNear(1e-6f), {0.0f, 0.4f / 0.7f, 0.0f, 0.3f / 0.7f}));
}

TEST(ToDistribution, TopPIsMeasuredOnWhatTopKLeft) {
  // After top_k = 2 the row is 4/7, 3/7: the first alone reaches 0.5, which it would not in the whole row.
  EXPECT_THAT(distribution({0.2, 0.4, 0.1, 0.3}, {.temperature = 1, .top_k = 2, .top_p = 0.5}),
              Pointwise(FloatNear(1e-6f), {0.0f, 1.0f, 0.0f, 0.0f}));
}

TEST(ToDistribution, TinyTopPKeepsOneToken) {
  EXPECT_THAT(distribution({0.2, 0.4, 0.1, 0.3}, {.temperature = 1, .top_p = 1e-9}), ElementsAre(0, 1, 0, 0));
}

TEST(ToDistribution, MinPComparesWithTheLargest) {
  // 0.6 * 0.4 = 0.24: 0.2 and 0.1 go.
  EXPECT_THAT(distribution({0.2, 0.4, 0.1, 0.3}, {.temperature = 1, .min_p = 0.6}),
              Pointwise(FloatNear(1e-6f), {0.0f, 0.4f / 0.7f, 0.0f, 0.3f / 0.7f}));
}

TEST(ToDistribution, TopPOfALargeVocabularyEqualsTheFullSort) {
  std::mt19937_64 random(5);
  std::vector<float> row(5000);
  for (float& logit : row) logit = static_cast<float>(draw_uniform(random) * 8);
  std::vector<float> whole = row;
  std::vector<int32_t> scratch;
  to_distribution(row, {.temperature = 1, .top_p = 0.7}, scratch);
  to_distribution(whole, {.temperature = 1}, scratch);
  std::vector<float> sorted = whole;
  std::sort(sorted.rbegin(), sorted.rend());
  double sum = 0;
  size_t kept = 0;
  while (sum < 0.7) sum += sorted[kept++];
  for (size_t i = 0; i < row.size(); ++i) ASSERT_EQ(row[i] > 0, whole[i] >= sorted[kept - 1]) << i;
}

TEST(Draw, FollowsTheWeights) {
  std::mt19937_64 random(11);
  std::vector<int64_t> counts(4);
  for (int i = 0; i < 200000; ++i) ++counts[draw(std::vector<float>{1, 0, 2, 5}, random)];
  EXPECT_LT(testing::g_test_score(counts, std::vector<double>{0.125, 0, 0.25, 0.625}), testing::kRejectScore);
}

TEST(TopTwo, GivesTheFirstMaximumAndItsLead) {
  const TopTwo got = top_two(std::vector<float>{1, 4, 2.5, 4});
  EXPECT_EQ(got.best, 1);
  EXPECT_EQ(got.margin, 0);
  EXPECT_FLOAT_EQ(top_two(std::vector<float>{1, 4, 2.5}).margin, 1.5);
}

TEST(CheckSamplingParams, NamesParameterRangeAndValue) {
  EXPECT_THAT([] { check_sampling_params({.top_p = 1.5}); },
              ThrowsMessage<UsageError>(HasSubstr("top_p: expected a number in (0, 1], got 1.5")));
  EXPECT_THROW(check_sampling_params({.temperature = -1}), UsageError);
  EXPECT_THROW(check_sampling_params({.top_k = -1}), UsageError);
  EXPECT_THROW(check_sampling_params({.min_p = 2}), UsageError);
}

}  // namespace
}  // namespace speculators
