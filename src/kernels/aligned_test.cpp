#include "kernels/aligned.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace speculators {
namespace {

uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

TEST(AllocateSideBySide, PutsSmallArraysNextToEachOtherOnCacheLines) {
  char* first = static_cast<char*>(allocate_side_by_side(100));
  char* second = static_cast<char*>(allocate_side_by_side(1));
  EXPECT_EQ(address(first) % 64, 0u);
  EXPECT_EQ(second - first, 128);  // 100 bytes fill two lines
  free_side_by_side(first);
  free_side_by_side(second);
}

TEST(AllocateSideBySide, GivesMemoryLargerThanABlock) {
  constexpr size_t kLarge = (size_t{64} << 20) + 5;
  char* small = static_cast<char*>(allocate_side_by_side(64));
  char* large = static_cast<char*>(allocate_side_by_side(kLarge));
  char* next = static_cast<char*>(allocate_side_by_side(64));
  large[0] = large[kLarge - 1] = 7;
  EXPECT_TRUE(next + 64 <= large || next >= large + kLarge);
  free_side_by_side(large);
  std::memset(small, 1, 64);
  std::memset(next, 2, 64);
  EXPECT_EQ(small[63], 1);
  free_side_by_side(small);
  free_side_by_side(next);
}

TEST(AllocateSideBySide, KeepsArraysWhoseNeighboursAreFreed) {
  WeightVector<int> kept(1000, 3);
  for (int round = 0; round < 200; ++round) WeightVector<int>(100000, round);  // 80 MB: more than a block
  EXPECT_EQ(kept, WeightVector<int>(1000, 3));
}

TEST(AllocateSideBySide, ServesSeveralThreads) {
  std::vector<std::thread> threads;
  std::vector<int> num_wrong(4);
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([id, &num_wrong] {
      for (int round = 0; round < 500; ++round) {
        const WeightVector<int> values(static_cast<size_t>(16 + round), id);
        for (const int value : values) num_wrong[static_cast<size_t>(id)] += value != id;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace speculators
