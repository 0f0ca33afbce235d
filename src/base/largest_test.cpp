#include "base/largest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace speculators {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> largest(const std::vector<float>& values, int64_t count) {
  std::vector<int64_t> indices(count);
  find_largest(values.data(), static_cast<int64_t>(values.size()), count, indices.data());
  return indices;
}

TEST(Largest, ComeInFallingOrder) { EXPECT_THAT(largest({1, 5, -2, 4, 3}, 3), ElementsAre(1, 3, 4)); }
TEST(Largest, OfEqualOnesTheFirst) { EXPECT_THAT(largest({2, 7, 7, 2, 7, 2}, 4), ElementsAre(1, 2, 4, 0)); }
TEST(Largest, AllOfThem) { EXPECT_THAT(largest({1, 3, 2}, 3), ElementsAre(1, 2, 0)); }

TEST(Largest, OfALongRowEqualASort) {
  std::mt19937_64 random(5);
  std::vector<float> values(5000);
  for (float& value : values) value = static_cast<float>(random() % 1000);  // many are equal
  std::vector<int64_t> sorted(values.size());
  std::iota(sorted.begin(), sorted.end(), int64_t{0});
  std::stable_sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) { return values[a] > values[b]; });
  sorted.resize(16);
  EXPECT_EQ(largest(values, 16), sorted);
}

}  // namespace
}  // namespace speculators
