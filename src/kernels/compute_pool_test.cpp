#include "kernels/compute_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "base/errors.h"
#include "kernels/processors.h"

namespace speculators {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Ranges that a region was cut into, in order.
std::vector<std::pair<int64_t, int64_t>> collect_ranges(ComputePool& pool, int64_t count, int64_t grain) {
  std::mutex mutex;
  std::vector<std::pair<int64_t, int64_t>> ranges;
  pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.emplace_back(begin, end);
  });
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

TEST(ComputePool, RunsEveryIndexOnceForAnyNumberOfThreads) {
  for (const int num_threads : {1, 2, 3, 7}) {
    ComputePool pool(num_threads);
    for (const int64_t count : {0, 1, 2, 5, 64, 1000}) {
      std::vector<int> visits(static_cast<size_t>(count));
      pool.parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
      });
      ASSERT_THAT(visits, Each(1)) << num_threads << " threads, " << count;
    }
  }
}

TEST(ComputePool, KeepsRangesAtLeastAsLargeAsTheGrain) {
  ComputePool pool(4);
  for (const auto& [begin, end] : collect_ranges(pool, 103, 30)) EXPECT_GE(end - begin, 30);
}

TEST(ComputePool, CutsIntoNearlyEqualRanges) {
  ComputePool pool(4);
  const auto ranges = collect_ranges(pool, 10, 1);
  EXPECT_THAT(ranges, ::testing::ElementsAre(std::pair(0, 2), std::pair(2, 5), std::pair(5, 7), std::pair(7, 10)));
}

TEST(ComputePool, ManySmallRegionsSeeWhatTheOnesBeforeWrote) {
  ComputePool pool(3);
  std::vector<int64_t> values(97, 0);
  for (int round = 0; round < 3000; ++round) {
    pool.parallel_for(97, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += i;
    });
  }
  for (int64_t i = 0; i < 97; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], 3000 * i);
}

TEST(ComputePool, WakesWorkersThatSleep) {
  ComputePool pool(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than workers stay awake
  std::atomic<int> arrived{0};
  // Each half waits for the other, so both threads must take part.
  pool.parallel_for(2, 1, [&](int64_t, int64_t) {
    ++arrived;
    while (arrived.load() < 2) sched_yield();
  });
  EXPECT_EQ(arrived.load(), 2);
}

TEST(ComputePool, IdleWorkersUseNoProcessorTime) {
  ComputePool pool(2);
  pool.parallel_for(2, 1, [](int64_t, int64_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.02);
}

TEST(ComputePool, ARegionInsideARegionRunsInPlace) {
  ComputePool pool(3);
  std::atomic<int64_t> sum{0};
  pool.parallel_for(6, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pool.parallel_for(10, 1, [&](int64_t first, int64_t last) { sum += last - first; });
    }
  });
  EXPECT_EQ(sum.load(), 60);
}

TEST(ComputePool, CallersOnTwoThreadsBothFinish) {
  ComputePool pool(3);
  std::atomic<int64_t> sum{0};
  const auto work = [&] {
    for (int round = 0; round < 500; ++round) {
      pool.parallel_for(9, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(sum.load(), 2 * 500 * 9);
}

TEST(ComputePool, StopsWhileWorkersAreBusyWaitingOrAsleep) {
  for (int round = 0; round < 50; ++round) {
    ComputePool pool(4);
    if (round % 2 == 0) pool.parallel_for(4, 1, [](int64_t, int64_t) {});
    if (round % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

TEST(ComputePool, TakesItsSizeFromTheEnvironment) {
  setenv("SPECULATORS_NUM_THREADS", "3", 1);
  const int num_threads = ComputePool().num_threads();
  unsetenv("SPECULATORS_NUM_THREADS");
  EXPECT_EQ(num_threads, 3);
}

TEST(ComputePool, RejectsASizeThatIsNoNumber) {
  setenv("SPECULATORS_NUM_THREADS", "two", 1);
  EXPECT_THAT([] { ComputePool pool; },
              ThrowsMessage<UsageError>(HasSubstr("expected a number from 1 to 4096, got 'two'")));
  unsetenv("SPECULATORS_NUM_THREADS");
}

TEST(CountUsableCores, FollowsTheAffinityMask) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &before) && CPU_COUNT(&one) == 0) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  const int cores = count_usable_cores();
  sched_setaffinity(0, sizeof(before), &before);
  EXPECT_EQ(cores, 1);
}

}  // namespace
}  // namespace speculators
