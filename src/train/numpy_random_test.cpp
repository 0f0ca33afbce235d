#include "train/numpy_random.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using testing::ElementsAre;

TEST(NumpyRandom, FirstOutputsEqualNumpys) {
  EXPECT_EQ(NumpyRandom(0).next_u64(), 11749869230777074271u);
  EXPECT_DOUBLE_EQ(NumpyRandom(0).next_double(), 0.6369616873214543);
  EXPECT_DOUBLE_EQ(NumpyRandom(42).next_double(), 0.7739560485559633);
}

TEST(NumpyRandom, ThirtyTwoBitDrawsTakeTheLowHalfFirst) {
  NumpyRandom random(0);
  EXPECT_EQ(random.next_u32(), 3653403231u);
  EXPECT_EQ(random.next_u32(), 2735729615u);
  EXPECT_EQ(random.next_u32(), 2195314465u);
  EXPECT_EQ(random.next_u32(), 1158725112u);
}

TEST(NumpyRandom, PermutationsEqualNumpys) {
  EXPECT_THAT(NumpyRandom(0).permutation(10), ElementsAre(4, 6, 2, 7, 3, 5, 9, 0, 8, 1));
  EXPECT_THAT(NumpyRandom(1).permutation(10), ElementsAre(8, 4, 7, 0, 1, 2, 5, 9, 6, 3));
  EXPECT_THAT(NumpyRandom(42).permutation(10), ElementsAre(5, 6, 0, 7, 3, 2, 4, 9, 1, 8));
  EXPECT_THAT(NumpyRandom(12345).permutation(10), ElementsAre(4, 8, 1, 3, 7, 9, 6, 0, 2, 5));
}

// numpy.random.default_rng(2**40 + 3).permutation(6): a seed of two 32-bit words.
TEST(NumpyRandom, SeedsAboveThirtyTwoBitsUseBothWords) {
  EXPECT_THAT(NumpyRandom((uint64_t{1} << 40) + 3).permutation(6), ElementsAre(2, 5, 0, 3, 1, 4));
}

TEST(NumpyRandom, EmptyAndSingleRangesDrawNothing) {
  NumpyRandom random(0);
  EXPECT_THAT(random.permutation(0), ElementsAre());
  EXPECT_THAT(random.permutation(1), ElementsAre(0));
  EXPECT_EQ(random.next_u64(), 11749869230777074271u);
}

}  // namespace
}  // namespace speculators
