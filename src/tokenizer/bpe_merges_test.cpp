#include "tokenizer/bpe_merges.h"

#include <gmock/gmock.h>

#include <random>

namespace speculators {
namespace {

using testing::ElementsAre;

// a=0 b=1 c=2 ab=3 bc=4 abc=5: "ab" merges before "bc".
MergeTable small_table() {
  MergeTable table;
  table.set(0, 1, {0, 3});
  table.set(1, 2, {1, 4});
  table.set(3, 2, {2, 5});
  return table;
}

std::vector<int32_t> merge_with(void (*merge)(const MergeTable&, MergeScratch&), const MergeTable& table,
                                std::vector<int32_t> word) {
  MergeScratch scratch;
  scratch.ids = std::move(word);
  merge(table, scratch);
  return scratch.ids;
}

TEST(MergeTable, FindsWhatWasSetAndNothingElse) {
  MergeTable table;
  for (int32_t i = 0; i < 1000; ++i) table.set(i, 2 * i, {static_cast<uint32_t>(i), i + 7});
  EXPECT_EQ(table.size(), 1000u);
  EXPECT_EQ(table.find(500, 1000).id, 507);
  EXPECT_EQ(table.find(500, 1001).rank, Merge::kNever);
  EXPECT_EQ(MergeTable().find(0, 0).rank, Merge::kNever);
}

TEST(MergeTable, KeepsTheLaterRankOfAPairGivenTwice) {
  MergeTable table;
  table.set(1, 2, {0, 3});
  table.set(1, 2, {9, 3});
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.find(1, 2).rank, 9u);
}

class Merging : public testing::TestWithParam<void (*)(const MergeTable&, MergeScratch&)> {};

TEST_P(Merging, JoinsTheLowestRankFirst) {
  const MergeTable table = small_table();
  EXPECT_THAT(merge_with(GetParam(), table, {0, 1, 2}), ElementsAre(5));        // ab c, not a bc
  EXPECT_THAT(merge_with(GetParam(), table, {1, 2, 0, 1}), ElementsAre(4, 3));  // bc ab
  EXPECT_THAT(merge_with(GetParam(), table, {2, 1, 0}), ElementsAre(2, 1, 0));
}

TEST_P(Merging, TakesTheLeftmostAmongEquals) {
  MergeTable table;
  table.set(0, 0, {0, 1});  // aa
  EXPECT_THAT(merge_with(GetParam(), table, {0, 0, 0}), ElementsAre(1, 0));
}

TEST_P(Merging, LeavesShortWordsAlone) {
  EXPECT_THAT(merge_with(GetParam(), small_table(), {}), ElementsAre());
  EXPECT_THAT(merge_with(GetParam(), small_table(), {1}), ElementsAre(1));
}

INSTANTIATE_TEST_SUITE_P(ScanAndHeap, Merging, testing::Values(&merge_by_scan, &merge_by_heap));

// A random merge list over four symbols: token ids are handed out as merges are made, as training does.
MergeTable random_table(std::mt19937& random) {
  MergeTable table;
  int32_t next = 4;
  for (uint32_t rank = 0; rank < 60; ++rank) {
    std::uniform_int_distribution<int32_t> any(0, next - 1);
    const int32_t left = any(random);
    const int32_t right = any(random);
    if (table.find(left, right).rank == Merge::kNever) table.set(left, right, {rank, next++});
  }
  return table;
}

TEST(Merging, ScanAndHeapAgreeOnRandomTables) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const MergeTable table = random_table(random);
    std::vector<int32_t> word(std::uniform_int_distribution<size_t>(0, 120)(random));
    for (int32_t& symbol : word) symbol = std::uniform_int_distribution(0, 3)(random);
    ASSERT_EQ(merge_with(merge_by_scan, table, word), merge_with(merge_by_heap, table, word));
  }
}

TEST(Merging, LongWordsTakeTimeThatGrowsSlowly) {
  MergeTable table;
  int32_t token = 0;
  for (uint32_t rank = 0; rank < 20; ++rank, ++token) table.set(token, token, {rank, token + 1});  // doublings
  const auto merged = merge_with(merge_word, table, std::vector<int32_t>(1 << 20, 0));  // quadratic would take hours
  EXPECT_THAT(merged, ElementsAre(20));
}

}  // namespace
}  // namespace speculators
