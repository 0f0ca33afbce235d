#include "train/multipack_sampler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const std::vector<int64_t> kLengths = {5, 9, 3, 7, 8, 2, 6, 4, 1, 10};

std::vector<std::vector<int64_t>> batches(int64_t num_replicas, int64_t rank, uint64_t seed, int64_t epoch) {
  return MultipackSampler(kLengths, {.row_length = 12, .num_replicas = num_replicas, .rank = rank, .seed = seed})
      .batches(epoch);
}

using Batches = std::vector<std::vector<int64_t>>;

// The tables of reference algorithms.md section 22, from running upstream's 0.9.0 sampler.
TEST(MultipackSampler, EqualsUpstreamForSeed0) {
  EXPECT_EQ(batches(1, 0, 0, 0), (Batches{{4}, {6, 2}, {3, 7}, {9, 5}, {0, 8}, {1}}));
  EXPECT_EQ(batches(2, 0, 0, 0), (Batches{{4, 2}, {3, 0}, {1}}));
  EXPECT_EQ(batches(2, 1, 0, 0), (Batches{{6, 7}, {9, 5}, {8}}));
  EXPECT_EQ(batches(3, 0, 0, 0), (Batches{{4, 5}, {0, 8}}));
  EXPECT_EQ(batches(3, 1, 0, 0), (Batches{{3, 2}, {9}}));
  EXPECT_EQ(batches(3, 2, 0, 0), (Batches{{6, 7}, {1}}));
  EXPECT_EQ(batches(1, 0, 0, 1), (Batches{{4, 8}, {0, 7}, {1, 2}, {9, 5}, {6}, {3}}));
  EXPECT_EQ(batches(2, 0, 0, 1), (Batches{{4, 8}, {1, 2}, {3}}));
  EXPECT_EQ(batches(2, 1, 0, 1), (Batches{{0, 7}, {9, 5}, {6}}));
  EXPECT_EQ(batches(3, 0, 0, 1), (Batches{{1, 5}, {6}}));
  EXPECT_EQ(batches(3, 1, 0, 1), (Batches{{4, 2}, {9}}));
  EXPECT_EQ(batches(3, 2, 0, 1), (Batches{{0, 7, 8}, {3}}));
}

TEST(MultipackSampler, EqualsUpstreamForSeed42) {
  EXPECT_EQ(batches(1, 0, 42, 0), (Batches{{6, 5}, {0, 7}, {3, 2}, {4}, {9}, {1, 8}}));
  EXPECT_EQ(batches(2, 0, 42, 0), (Batches{{6, 5}, {3, 2}, {9}}));
  EXPECT_EQ(batches(2, 1, 42, 0), (Batches{{0, 7}, {4}, {1, 8}}));
  EXPECT_EQ(batches(3, 0, 42, 0), (Batches{{3, 5}, {4, 8}}));
  EXPECT_EQ(batches(3, 1, 42, 0), (Batches{{6, 2}, {9}}));
  EXPECT_EQ(batches(3, 2, 42, 0), (Batches{{0, 7}, {1}}));
  EXPECT_EQ(batches(1, 0, 42, 1), (Batches{{2, 8}, {9, 5}, {7}, {1}, {4}, {6, 0}, {3}}));
  EXPECT_EQ(batches(2, 0, 42, 1), (Batches{{9}, {4}, {3}}));
  EXPECT_EQ(batches(2, 1, 42, 1), (Batches{{7, 2, 5, 8}, {1}, {6, 0}}));
  EXPECT_EQ(batches(3, 0, 42, 1), (Batches{{9}, {6, 0}}));
  EXPECT_EQ(batches(3, 1, 42, 1), (Batches{{1, 8}, {4}}));
  EXPECT_EQ(batches(3, 2, 42, 1), (Batches{{7, 2, 5}, {3}}));
}

TEST(MultipackSampler, KeepsEverySampleOnOneRankAndNeverOverfillsARow) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 200; ++i) lengths.push_back(1 + (i * 37) % 50);
  const MultipackSampler sampler(lengths, {.row_length = 60, .seed = 7});
  std::vector<int64_t> seen;
  for (const auto& batch : sampler.batches(3)) {
    int64_t total = 0;
    for (const int64_t sample : batch) total += lengths[sample];
    EXPECT_LE(total, 60);
    seen.insert(seen.end(), batch.begin(), batch.end());
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

TEST(MultipackSampler, CountsALongSampleAsAFullRow) {
  const MultipackSampler sampler({100, 1}, {.row_length = 12, .seed = 0});
  EXPECT_EQ(sampler.batches(0).size(), 2u);
}

TEST(MultipackSampler, FewerSamplesThanRanksGiveNoBatch) {
  const MultipackSampler sampler({3}, {.row_length = 12, .num_replicas = 2, .seed = 0});
  EXPECT_TRUE(sampler.batches(0).empty());
}

TEST(MultipackSampler, RejectsARankOutsideTheReplicas) {
  EXPECT_THAT(([] { MultipackSampler({3}, {.row_length = 12, .num_replicas = 2, .rank = 2}); }),
              ThrowsMessage<UsageError>(HasSubstr("rank: expected 0 ... 1, got 2")));
}

}  // namespace
}  // namespace speculators
