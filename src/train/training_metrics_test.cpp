#include "train/training_metrics.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

TEST(TrainingMetrics, PoolsCountsBeforeDividing) {
  MetricPairs pool;
  add_pairs(pool, {{"full_acc_0", {1, 2}}, {"loss", {3, 1}}});
  add_pairs(pool, {{"full_acc_0", {5, 6}}, {"loss", {1, 1}}});
  EXPECT_THAT(values_of(pool, "val/", "_epoch"),
              testing::ElementsAre(testing::Pair("val/full_acc_0_epoch", 0.75), testing::Pair("val/loss_epoch", 2.0)));
}

TEST(TrainingMetrics, AnEmptyTotalGivesZero) { EXPECT_EQ(values_of({{"x", {3, 0}}}).at("x"), 0); }

// facts.md section 3: validation full accuracy .38 / .17 / .08 = estimated length 1.63.
TEST(TrainingMetrics, EstimatesTheLengthFromEagleChains) {
  const MetricPairs pool = {{"full_acc_0", {38, 100}}, {"full_acc_1", {17, 100}}, {"full_acc_2", {8, 100}}};
  EXPECT_DOUBLE_EQ(estimated_acceptance_length(pool).value(), 1.63);
  EXPECT_THAT(position_accuracies(pool), testing::ElementsAre(.38, .17, .08));
}

TEST(TrainingMetrics, TakesTheDraftsOwnEstimate) {
  const MetricPairs pool = {
      {"eal", {7, 3}}, {"full_acc", {1, 2}}, {"position_0_acc", {0, 0}}, {"position_1_acc", {1, 4}}};
  EXPECT_DOUBLE_EQ(estimated_acceptance_length(pool).value(), 7.0 / 3);
  EXPECT_THAT(position_accuracies(pool), testing::ElementsAre(.25));
}

TEST(TrainingMetrics, SaysNothingWithoutAccuracies) {
  EXPECT_FALSE(estimated_acceptance_length({{"loss", {1, 1}}}));
  EXPECT_TRUE(position_accuracies({{"loss", {1, 1}}}).empty());
}

}  // namespace
}  // namespace speculators
