#include "base/nearest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace speculators {
namespace {

using ::testing::ElementsAre;

const std::vector<std::string> kKnown = {"learning-rate", "lr", "save-path", "save-best"};

TEST(NearestNames, OneTypingErrorFindsTheName) {
  EXPECT_THAT(nearest_names("save-pth", kKnown, 1), ElementsAre("save-path"));
}

TEST(NearestNames, PartOfANameFindsIt) {
  EXPECT_THAT(nearest_names("learning", kKnown, 1), ElementsAre("learning-rate"));
}

TEST(DidYouMean, SaysNothingWhenNothingIsNear) { EXPECT_EQ(did_you_mean("zzzzzzzz", kKnown), ""); }

}  // namespace
}  // namespace speculators
