#include "draft/xpress/trainable_chunks.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

BlockConfig config() {
  BlockConfig config;
  config.block_size = 4;
  config.draft_vocab_size = 10;
  return config;
}

// The second block has a hole at slot 2 and ends there.
BlockPlan two_blocks() { return {{5, 7}, {{0, 1, 5}, {0, 2, 6}, {0, 3, 7}, {1, 1, 7}, {1, 3, 9}}}; }

TEST(BlockChunks, HaveARowForEverySlotUpToTheLastPair) {
  const auto chunks = make_chunks(two_blocks(), config(), 1 << 20);
  ASSERT_THAT(chunks, SizeIs(1));
  EXPECT_THAT(chunks[0].slots, ElementsAre(1, 2, 3, 5, 6, 7));
  EXPECT_THAT(chunks[0].pairs, ElementsAre(0, 1, 2, 3, -1, 4));
}

TEST(BlockChunks, ShareTheRowsOfTheVerifier) {
  const auto chunks = make_chunks(two_blocks(), config(), 1 << 20);
  EXPECT_THAT(chunks[0].targets, ElementsAre(5, 6, 7, 9));
  EXPECT_THAT(chunks[0].target_of, ElementsAre(0, 1, 2, 2, 3, 3));
}

TEST(BlockChunks, TakeWholeBlocksOfAtLeastSixtyFourRows) {
  BlockPlan plan;
  for (int64_t block = 0; block < 50; ++block) {
    plan.anchors.push_back(block);
    for (int64_t offset = 1; offset < 4; ++offset) plan.pairs.push_back({block, offset, block + offset - 1});
  }
  const auto chunks = make_chunks(plan, config(), /*chunk_bytes=*/1);
  ASSERT_THAT(chunks, SizeIs(3));
  for (const BlockChunk& chunk : chunks) {
    EXPECT_LE(chunk.num_rows(), 64);
    EXPECT_EQ(chunk.num_rows(), 3 * (chunk.end - chunk.begin));
  }
  EXPECT_EQ(chunks[1].begin, chunks[0].end);
  EXPECT_EQ(chunks[1].first_pair, chunks[0].plan.pairs.size());
  EXPECT_EQ(chunks[2].end, 50);
}

TEST(BlockChunks, OfNothingThereAreNone) { EXPECT_THAT(make_chunks({}, config(), 1), SizeIs(0)); }

}  // namespace
}  // namespace speculators
