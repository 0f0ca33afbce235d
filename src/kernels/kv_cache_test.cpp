#include "kernels/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "base/errors.h"
#include "kernels/test_data.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

TEST(KvSequence, TakesPagesAsItGrows) {
  KvPool pool(1, 1, 2);
  KvSequence sequence(pool);
  sequence.extend(1);
  EXPECT_THAT(sequence.pages(), SizeIs(1));
  sequence.extend(15);  // the first page is full now
  EXPECT_THAT(sequence.pages(), SizeIs(1));
  sequence.extend(1);
  EXPECT_THAT(sequence.pages(), SizeIs(2));
  EXPECT_EQ(sequence.length(), 17);
}

TEST(KvSequence, TruncateGivesBackThePagesBehind) {
  KvPool pool(1, 1, 2);
  KvSequence sequence(pool);
  sequence.extend(50);
  EXPECT_EQ(pool.num_pages_in_use(), 4);
  sequence.truncate(33);
  EXPECT_EQ(pool.num_pages_in_use(), 3);
  sequence.truncate(32);
  EXPECT_EQ(pool.num_pages_in_use(), 2);
  sequence.truncate(0);
  EXPECT_EQ(pool.num_pages_in_use(), 0);
}

TEST(KvSequence, KeepsWhatLiesBeforeATruncation) {
  KvPool pool(1, 1, 1);
  KvSequence sequence(pool);
  sequence.extend(20);
  const float key = 7, value = 8, other = 9;
  sequence.store(0, 16, &key, &value);
  sequence.truncate(17);
  sequence.extend(3);
  sequence.store(0, 17, &other, &other);
  EXPECT_EQ(pool.keys(sequence.pages()[1], 0, 0)[0], 7);
  EXPECT_EQ(pool.values(sequence.pages()[1], 0, 0)[0], 8);
}

TEST(KvSequence, StoresKeysTransposedAndValuesAsRows) {
  KvPool pool(2, 2, 3);
  KvSequence sequence(pool);
  sequence.extend(20);
  const std::vector<float> key = {1, 2, 3, 4, 5, 6}, value = {-1, -2, -3, -4, -5, -6};  // two heads of three
  sequence.store(1, 18, key.data(), value.data());
  const int32_t page = sequence.pages()[1];
  for (int64_t head = 0; head < 2; ++head) {
    for (int64_t d = 0; d < 3; ++d) {
      EXPECT_EQ(pool.keys(page, 1, head)[d * kPageTokens + 2], static_cast<float>(head * 3 + d + 1));
      EXPECT_EQ(pool.values(page, 1, head)[2 * 3 + d], -static_cast<float>(head * 3 + d + 1));
    }
  }
}

TEST(KvSequence, FreesItsPagesWhenItGoes) {
  KvPool pool(1, 1, 2);
  {
    KvSequence sequence(pool);
    sequence.extend(40);
    EXPECT_EQ(pool.num_pages_in_use(), 3);
  }
  EXPECT_EQ(pool.num_pages_in_use(), 0);
}

TEST(KvSequence, MovesItsPagesWithoutFreeingThem) {
  KvPool pool(1, 1, 2);
  KvSequence first(pool), target(pool);
  first.extend(20);
  target.extend(5);
  KvSequence second(std::move(first));
  EXPECT_EQ(second.length(), 20);
  EXPECT_EQ(pool.num_pages_in_use(), 3);
  target = std::move(second);
  EXPECT_EQ(target.length(), 20);
  EXPECT_THAT(target.pages(), SizeIs(2));
}

TEST(KvSequence, RejectsTruncationToMoreThanItHas) {
  KvPool pool(1, 1, 2);
  KvSequence sequence(pool);
  sequence.extend(5);
  EXPECT_THAT([&] { sequence.truncate(6); }, ThrowsMessage<ShapeError>(HasSubstr("from 0 to 5, got 6")));
}

TEST(KvSequence, RejectsStoringBehindItsEnd) {
  KvPool pool(1, 1, 1);
  KvSequence sequence(pool);
  sequence.extend(5);
  const float one = 1;
  EXPECT_THAT([&] { sequence.store(0, 5, &one, &one); },
              ThrowsMessage<ShapeError>(HasSubstr("expected a position below 5, got 5")));
}

TEST(KvPool, ReusesFreedPagesBeforeItGrows) {
  KvPool pool(1, 1, 2);
  std::optional<KvSequence> first(std::in_place, pool);
  first->extend(48);
  const std::set<int32_t> before(first->pages().begin(), first->pages().end());
  first.reset();
  KvSequence second(pool);
  second.extend(48);
  EXPECT_EQ(std::set<int32_t>(second.pages().begin(), second.pages().end()), before);
}

TEST(KvPool, PagesDoNotOverlap) {
  KvPool pool(2, 3, 64);  // many slabs of pages
  std::vector<int32_t> pages;
  for (int i = 0; i < 400; ++i) pages.push_back(pool.allocate_page());
  const int64_t size = 64 * kPageTokens;
  for (const int32_t page : pages) std::fill_n(pool.values(page, 1, 2), size, static_cast<float>(page));
  for (const int32_t page : pages) std::fill_n(pool.keys(page, 0, 0), size, static_cast<float>(page));
  for (const int32_t page : pages) {
    ASSERT_EQ(pool.keys(page, 0, 0)[0], static_cast<float>(page));
    ASSERT_EQ(pool.keys(page, 0, 0)[size - 1], static_cast<float>(page));
    ASSERT_EQ(pool.values(page, 1, 2)[0], static_cast<float>(page));
    ASSERT_EQ(pool.values(page, 1, 2)[size - 1], static_cast<float>(page));
  }
}

TEST(KvPool, AddressesStayWhenItGrows) {
  KvPool pool(1, 1, 64);
  const int32_t page = pool.allocate_page();
  const float* const keys = pool.keys(page, 0, 0);
  for (int i = 0; i < 5000; ++i) pool.allocate_page();
  EXPECT_EQ(pool.keys(page, 0, 0), keys);
}

TEST(KvPool, RejectsSizesThatAreNotPositive) {
  EXPECT_THAT([] { KvPool(1, 0, 64); }, ThrowsMessage<ShapeError>(HasSubstr("got 1 layers, 0 key/value heads")));
}

}  // namespace
}  // namespace speculators
