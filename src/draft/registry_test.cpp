#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/errors.h"
#include "draft/draft_algorithm.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(DraftAlgorithms, HaveDistinctNames) {
  std::set<std::string_view> names;
  for (const DraftAlgorithm& algorithm : draft_algorithms()) EXPECT_TRUE(names.insert(algorithm.name).second);
}

TEST(DraftAlgorithms, AreFoundByName) { EXPECT_EQ(get_draft_algorithm("dflash").architecture, "DFlashDraftModel"); }

TEST(DraftAlgorithms, AreListedNearestFirst) {
  EXPECT_THAT([] { get_draft_algorithm("dflsh"); },
              ThrowsMessage<UsageError>(HasSubstr("algorithm \"dflsh\": expected one of dflash, ")));
}

}  // namespace
}  // namespace speculators
