#include "draft/block/trainable_rows.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using testing::ElementsAre;

BlockConfig blocks_of_three(bool sample_from_anchor) {
  BlockConfig config;
  config.block_size = 3;
  config.sample_from_anchor = sample_from_anchor;
  return config;
}

// Block 0 stands at row 1, block 1 at row 3, whose last slot lies behind the batch.
TEST(TokensBefore, RepeatTheAnchorInFrontOfIt) {
  EXPECT_THAT(tokens_before(blocks_of_three(false), {10, 11, 12, 13, 14}, {1, 3}, {0, 1, 2, 3, 5}),
              ElementsAre(11, 11, 12, 13, 14));
}

TEST(TokensBefore, AreTheSlotsOwnWhenTheAnchorPredicts) {
  EXPECT_THAT(tokens_before(blocks_of_three(true), {10, 11, 12, 13, 14}, {1, 3}, {0, 1, 2, 5}),
              ElementsAre(11, 12, 13, 14));
}

// Three blocks of four slots, anchors of token 1, 2, 1; two taps.
BlockRows three_blocks() {
  BlockRows rows;
  rows.tokens = {7, 30, 31};
  rows.slot_tokens = {1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0};
  return rows;
}

TEST(DistinctSlots, AreThoseNearEachAnchorTokenAndOneOfMasks) {
  const DistinctSlots distinct = make_distinct_slots(three_blocks(), 4, 2);
  EXPECT_THAT(distinct.tokens, ElementsAre(1, 0, 0, 2, 0));
  EXPECT_THAT(distinct.offsets, ElementsAre(0, 1, 2, 0, 1));
  EXPECT_THAT(distinct.of_slot, ElementsAre(0, 1, 2, 2, 3, 4, 2, 2, 0, 1, 2, 2));
}

TEST(DistinctSlots, AreWholeBlocksWhenTheAnchorIsInSightEverywhere) {
  const DistinctSlots distinct = make_distinct_slots(three_blocks(), 4, 4);
  EXPECT_THAT(distinct.offsets, ElementsAre(0, 1, 2, 3, 0, 1, 2, 3));
  EXPECT_THAT(distinct.of_slot, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3));
}

}  // namespace
}  // namespace speculators
