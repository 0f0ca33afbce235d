#include "draft/peagle/targets.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

BatchRows supervised_rows(int64_t count) { return {std::vector<int64_t>(count, 0), std::vector<uint8_t>(count, 1)}; }

SlotSampling all_of(int64_t num_depths) { return {num_depths, 1.0, 1.0, 512}; }

std::vector<int64_t> count_by_depth(const std::vector<DepthSlot>& slots) {
  std::vector<int64_t> counts;
  for (const DepthSlot& slot : slots) {
    counts.resize(std::max<size_t>(counts.size(), slot.depth));
    ++counts[slot.depth - 1];
  }
  return counts;
}

// Reference algorithms.md 6.2.
TEST(DrawSlots, KeepsUpstreamsShareOfEachDepth) {
  SlotSampling sampling;
  EXPECT_THAT(count_by_depth(draw_slots(supervised_rows(10), sampling, true, 1)), ElementsAre(6, 3, 2, 1, 1));
  EXPECT_THAT(count_by_depth(draw_slots(supervised_rows(100), sampling, true, 1)),
              ElementsAre(69, 48, 33, 23, 19, 18, 18));
}

TEST(DrawSlots, EveryChainIsWithoutGapsAndOnSupervisedRows) {
  BatchRows rows = supervised_rows(60);
  for (const int64_t hole : {7, 8, 30}) rows.supervised[hole] = 0;
  const auto slots = draw_slots(rows, SlotSampling{}, false, 3);
  ASSERT_GT(slots.size(), 60u);
  for (const DepthSlot& slot : slots) {
    EXPECT_TRUE(rows.supervised[slot.row()]);
    const DepthSlot before{slot.anchor, slot.depth - 1};
    EXPECT_TRUE(before.depth == 0 || std::count(slots.begin(), slots.end(), before) == 1);
  }
}

TEST(DrawSlots, AreAscendingWithinADepth) {
  const auto slots = draw_slots(supervised_rows(40), SlotSampling{}, false, 3);
  EXPECT_TRUE(std::is_sorted(slots.begin(), slots.end(), [](const DepthSlot& a, const DepthSlot& b) {
    return std::pair(a.depth, a.anchor) < std::pair(b.depth, b.anchor);
  }));
}

// Rows 3 and 4 are the second document: a chain starts behind the row it is anchored to, in the same document.
TEST(DrawSlots, AChainStaysInsideItsDocument) {
  const BatchRows rows{{0, 0, 0, 1, 1, -1}, {1, 1, 1, 1, 1, 0}};
  EXPECT_THAT(draw_slots(rows, all_of(3), false, 1),
              ElementsAre(DepthSlot{0, 1}, DepthSlot{1, 1}, DepthSlot{3, 1}, DepthSlot{0, 2}));
}

TEST(DrawSlots, UpstreamsChainsRunIntoTheNextDocument) {
  const BatchRows rows{{0, 0, 0, 1, -1}, {0, 1, 1, 1, 0}};
  const auto slots = draw_slots(rows, {3, 1.0, 1.0, 512}, true, 1);
  EXPECT_TRUE(std::any_of(slots.begin(), slots.end(), [](const DepthSlot& slot) { return slot.row() == 3; }));
}

TEST(DrawSlots, UpstreamsFirstRowBelongsToAnchorMinusOne) {
  const auto slots = draw_slots(supervised_rows(50), SlotSampling{2, 0.9, 0.9, 512}, true, 1);
  EXPECT_EQ(slots.at(0).anchor, -1);
}

TEST(DrawSlots, TakesSeedsFromAtMostMaxAnchorsRows) {
  const auto slots = draw_slots(supervised_rows(100), {8, 1.0, 1.0, 20}, true, 1);
  std::set<int64_t> anchors;
  for (const DepthSlot& slot : slots) anchors.insert(slot.anchor);
  EXPECT_LE(anchors.size(), 20u);
  EXPECT_THAT(count_by_depth(slots).at(0), 19);
}

TEST(DrawSlots, TheSeedDecides) {
  const BatchRows rows = supervised_rows(50);
  EXPECT_EQ(draw_slots(rows, {}, false, 1), draw_slots(rows, {}, false, 1));
  EXPECT_NE(draw_slots(rows, {}, false, 1), draw_slots(rows, {}, false, 2));
}

TEST(DrawSlots, WithoutSupervisionThereAreNone) {
  EXPECT_THAT(draw_slots({{0, 0, 0}, {0, 0, 0}}, all_of(3), false, 1), IsEmpty());
}

TEST(LossSlots, SupervisedRowsComeFirst) {
  EXPECT_THAT(loss_slots({{0, 0, 0}, {0, 1, 1}}, {{0, 1}}),
              ElementsAre(DepthSlot{1, 0}, DepthSlot{2, 0}, DepthSlot{0, 1}));
}

TEST(SlotMetrics, CountHitsByDepthAndAverageTheLoss) {
  const std::vector<DepthSlot> pairs = {{1, 0}, {2, 0}, {0, 1}, {1, 1}};
  nn::PairOutcome outcome;
  outcome.value = {1, 2, 3, 6};
  outcome.match = {1, 0, 1, 1};
  const auto metrics = slot_metrics(pairs, 3, outcome, {});
  EXPECT_NEAR(metrics.at("loss").sum, 12 / 4.00001, 1e-9);
  EXPECT_EQ(metrics.at("full_acc").sum, 3);
  EXPECT_EQ(metrics.at("full_acc").total, 4);
  EXPECT_EQ(metrics.at("position_0_acc").sum, 1);
  EXPECT_EQ(metrics.at("position_1_acc").sum, 2);
  EXPECT_EQ(metrics.at("position_2_acc").total, 0);
}

TEST(SlotMetrics, TermsAreReportedWithoutTheirWeight) {
  nn::PairOutcome outcome;
  outcome.value = {1, 1};
  outcome.match = {0, 0};
  outcome.terms = {{2, 2}, {4, 4}};
  const auto metrics = slot_metrics({{0, 0}, {1, 0}}, 1, outcome, nn::parse_loss_spec(R"({"ce": 0.1, "tv": 0.9})"));
  EXPECT_NEAR(metrics.at("ce_loss").sum, 2.0, 1e-4);
  EXPECT_NEAR(metrics.at("tv_loss").sum, 4.0, 1e-4);
}

}  // namespace
}  // namespace speculators
