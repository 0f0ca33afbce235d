#include "draft/block/targets.h"

#include <gmock/gmock.h>

#include <cmath>

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

BlockConfig blocks_of(int64_t block_size, bool sample_from_anchor = false) {
  BlockConfig config;
  config.block_size = block_size;
  config.sample_from_anchor = sample_from_anchor;
  return config;
}

BlockTrainingOptions dpace(double alpha) {
  BlockTrainingOptions options;
  options.position_weight = PositionWeight::kDPace;
  options.dpace_alpha = alpha;
  return options;
}

// Two documents of four rows, the first row of each a prompt.
BatchRows two_documents() { return {{0, 0, 0, 0, 1, 1, 1, 1}, {0, 1, 1, 1, 0, 1, 1, 1}}; }

TEST(DrawAnchors, LeavesOutRowsWhoseBlockHasNothingToPredictInItsDocument) {
  EXPECT_THAT(draw_anchors(two_documents(), blocks_of(3), {}, 1), ElementsAre(1, 2, 5, 6));
}

TEST(DrawAnchors, UpstreamLeavesOutTheEndOfThePackedRowOnly) {
  BlockTrainingOptions options;
  options.compat_upstream = true;
  EXPECT_THAT(draw_anchors(two_documents(), blocks_of(3), options, 1), ElementsAre(1, 2, 3));
}

TEST(DrawAnchors, TheSeedDecidesAndNoMoreThanMaxAreDrawn) {
  const BatchRows rows{std::vector<int64_t>(100, 0), std::vector<uint8_t>(100, 1)};
  BlockTrainingOptions options;
  options.max_anchors = 10;
  const auto first = draw_anchors(rows, blocks_of(4), options, 1);
  EXPECT_EQ(first.size(), 10u);
  EXPECT_TRUE(std::is_sorted(first.begin(), first.end()));
  EXPECT_EQ(first, draw_anchors(rows, blocks_of(4), options, 1));
  EXPECT_NE(first, draw_anchors(rows, blocks_of(4), options, 2));
}

TEST(DrawAnchors, NoSupervisionGivesNoAnchors) {
  EXPECT_THAT(draw_anchors({{0, 0}, {0, 0}}, blocks_of(2), {}, 1), IsEmpty());
}

std::vector<std::vector<int64_t>> slots_of(const BlockPlan& plan) {
  std::vector<std::vector<int64_t>> result;
  for (const BlockPair& pair : plan.pairs) result.push_back({pair.block, pair.offset, pair.target});
  return result;
}

TEST(PlanBlocks, SlotsArePredictedFromTheRowBeforeThem) {
  EXPECT_THAT(slots_of(plan_blocks(two_documents(), blocks_of(3), {1}, false)),
              ElementsAre(ElementsAre(0, 1, 1), ElementsAre(0, 2, 2)));
}

TEST(PlanBlocks, WithTheAnchorSampledASlotPredictsTheRowBehindIt) {
  EXPECT_THAT(slots_of(plan_blocks(two_documents(), blocks_of(2, true), {1}, false)),
              ElementsAre(ElementsAre(0, 0, 1), ElementsAre(0, 1, 2)));
}

TEST(PlanBlocks, ABlockEndsWithItsDocument) {
  EXPECT_THAT(slots_of(plan_blocks(two_documents(), blocks_of(4), {2}, false)), ElementsAre(ElementsAre(0, 1, 2)));
}

TEST(PlanBlocks, UpstreamsBlockRunsIntoTheNextDocument) {
  EXPECT_THAT(slots_of(plan_blocks(two_documents(), blocks_of(4), {2}, true)),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0, 3, 4)));  // row 4 is a prompt, row 5 is not
}

TEST(BlockWeights, FixedDecayStartsAtTheFirstPredictingSlot) {
  const BatchRows rows{std::vector<int64_t>(10, 0), std::vector<uint8_t>(10, 1)};
  const BlockPlan plan = plan_blocks(rows, blocks_of(4), {0}, false);
  const auto weights = block_weights(plan, blocks_of(4), {}, {1, 1, 1});
  EXPECT_NEAR(weights[0] * 3.00001, 1.0, 1e-6);
  EXPECT_NEAR(weights[1] * 3.00001, 0.7788008, 1e-6);
  EXPECT_NEAR(weights[2] * 3.00001, 0.6065307, 1e-6);
}

// Reference algorithms.md 22: B = 4, alpha = 0.5, q = 0.8, 0.5, 0.9 in slots 1 to 3.
std::vector<double> dpace_weights(const std::vector<uint8_t>& mask, bool sample_from_anchor) {
  const std::vector<float> losses = {0.3f, -std::log(0.8f), -std::log(0.5f), -std::log(0.9f)};
  const BatchRows rows{{0, 0, 0, 0}, mask};
  const BlockConfig config = blocks_of(4, sample_from_anchor);
  const BlockPlan plan = plan_blocks(rows, config, {0}, false);
  std::vector<float> values;
  for (const BlockPair& pair : plan.pairs) values.push_back(losses[pair.offset]);
  std::vector<double> weights;
  for (const float weight : block_weights(plan, config, dpace(0.5), values)) {
    weights.push_back(weight * (static_cast<double>(plan.pairs.size()) + 1e-5));
  }
  return weights;
}

TEST(BlockWeights, DPaceGivesTheKnownWeights) {
  EXPECT_THAT(dpace_weights({0, 1, 1, 1}, false),
              ElementsAre(testing::DoubleNear(2.21625, 1e-5), testing::DoubleNear(1.31625, 1e-5),
                          testing::DoubleNear(0.64125, 1e-5)));
}

TEST(BlockWeights, DPaceWithTheAnchorSampledGivesTheKnownWeights) {
  EXPECT_THAT(dpace_weights({1, 1, 1, 1}, true),
              ElementsAre(testing::DoubleNear(2.7994533, 1e-5), testing::DoubleNear(1.9290442, 1e-5),
                          testing::DoubleNear(1.1456760, 1e-5), testing::DoubleNear(0.5581498, 1e-5)));
}

TEST(BlockWeights, DPaceTakesSlotsOutsideTheLossAsCertain) {
  EXPECT_THAT(dpace_weights({0, 1, 0, 1}, false),
              ElementsAre(testing::DoubleNear(1.755, 1e-5), testing::DoubleNear(0.855, 1e-5)));
}

// Reference algorithms.md 22: hits 110, 011, 111 under masks 111, 111, 110, and a block without any supervised slot.
TEST(BlockMetrics, EalCountsLeadingHitsAndTheBonusToken) {
  BlockPlan plan;
  plan.anchors = {0, 10, 20, 30};
  for (int64_t block = 0; block < 3; ++block) {
    for (int64_t offset = 1; offset <= (block == 2 ? 2 : 3); ++offset) plan.pairs.push_back({block, offset, 0});
  }
  nn::PairOutcome outcome;
  outcome.match = {1, 1, 0, 0, 1, 1, 1, 1};
  outcome.value.assign(8, 1.0f);
  const auto metrics = block_metrics(plan, blocks_of(4), {}, outcome, std::vector<float>(8, 0.125f));
  EXPECT_EQ(metrics.at("eal").sum, 7);
  EXPECT_EQ(metrics.at("eal").total, 3);
  EXPECT_EQ(metrics.at("position_1_acc").sum, 2);
  EXPECT_EQ(metrics.at("position_1_acc").total, 3);
  EXPECT_EQ(metrics.at("full_acc").sum, 6);
  EXPECT_EQ(metrics.at("full_acc").total, 8);
  EXPECT_EQ(metrics.count("position_0_acc"), 0u);
  EXPECT_NEAR(metrics.at("loss").sum, 1.0, 1e-6);
}

TEST(BlockMetrics, AHoleInTheMaskEndsTheAcceptedPrefix) {
  BlockPlan plan;
  plan.anchors = {0};
  plan.pairs = {{0, 1, 0}, {0, 3, 2}};  // slot 2 is not supervised
  nn::PairOutcome outcome;
  outcome.match = {1, 1};
  outcome.value = {1, 1};
  EXPECT_EQ(block_metrics(plan, blocks_of(4), {}, outcome, {1, 1}).at("eal").sum, 2);
}

}  // namespace
}  // namespace speculators
