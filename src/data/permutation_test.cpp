#include "data/permutation.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Expected values: numpy.random.default_rng(seed).permutation(size), NumPy 2.4.
TEST(NumpyPermutation, EqualsNumpys) {
  EXPECT_THAT(numpy_permutation(0, 10), ElementsAre(4, 6, 2, 7, 3, 5, 9, 0, 8, 1));
}

TEST(NumpyPermutation, UsesAll64BitsOfTheSeed) {
  EXPECT_THAT(numpy_permutation(12345678901234, 8), ElementsAre(1, 0, 5, 7, 3, 2, 6, 4));
}

TEST(NumpyPermutation, OfNothingIsNothing) { EXPECT_THAT(numpy_permutation(1, 0), IsEmpty()); }

TEST(Shuffled, MovesItemsIntoThatOrder) {
  EXPECT_THAT(shuffled(std::vector<char>{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'}, 0),
              ElementsAre('e', 'g', 'c', 'h', 'd', 'f', 'j', 'a', 'i', 'b'));
}

}  // namespace
}  // namespace speculators
