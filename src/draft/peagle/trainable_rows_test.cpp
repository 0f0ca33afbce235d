#include "draft/peagle/trainable_rows.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using testing::ElementsAre;

// Reference algorithms.md 22: one document of six rows, anchors 0 1 3 4 at depth 1, 0 3 at depth 2, 0 at depth 3.
SlotRows example() {
  const BatchRows rows{{0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}};
  return make_slot_rows(rows, {{0, 1}, {1, 1}, {3, 1}, {4, 1}, {0, 2}, {3, 2}, {0, 3}});
}

// What a query sees, counted as in the reference: rows 0 to 5, then slots 6 to 12.
std::vector<int64_t> visible(const DepthSlot& query, std::optional<int64_t> window) {
  const SlotRows rows = example();
  const auto plan = slot_attention_plan(rows, {query}, window);
  std::vector<int64_t> keys;
  for (int64_t key = plan->first[0]; key < plan->last[0]; ++key) keys.push_back(rows.context.rows()[key]);
  for (const int64_t slot : plan->own_index) keys.push_back(6 + slot);
  return keys;
}

TEST(SlotAttentionPlan, AQuerySeesTheRowsUpToItsAnchorAndItsOwnChain) {
  EXPECT_THAT(visible({2, 0}, std::nullopt), ElementsAre(0, 1, 2));
  EXPECT_THAT(visible({3, 1}, std::nullopt), ElementsAre(0, 1, 2, 3, 8));
  EXPECT_THAT(visible({3, 2}, std::nullopt), ElementsAre(0, 1, 2, 3, 8, 11));
  EXPECT_THAT(visible({0, 3}, std::nullopt), ElementsAre(0, 6, 10, 12));
}

TEST(SlotAttentionPlan, AWindowMovesWithTheDepthButKeepsTheChain) {
  EXPECT_THAT(visible({2, 0}, 2), ElementsAre(1, 2));
  EXPECT_THAT(visible({3, 1}, 2), ElementsAre(3, 8));
  EXPECT_THAT(visible({3, 2}, 2), ElementsAre(3, 8, 11));
  EXPECT_THAT(visible({0, 3}, 2), ElementsAre(0, 6, 10, 12));
}

TEST(SlotRows, ContextEndsAtTheLastAnchorOrSupervisedRowOfADocument) {
  const BatchRows rows{{0, 0, 0, 1, 1, 1, -1}, {0, 1, 0, 0, 0, 0, 0}};
  EXPECT_THAT(make_slot_rows(rows, {{3, 1}}).context.rows(), ElementsAre(0, 1, 3));
}

}  // namespace
}  // namespace speculators
