#include "evaluate/acceptance_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace speculators {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

AcceptanceReport report_of(std::initializer_list<std::pair<int, int>> proposed_and_accepted) {
  AcceptanceReport report;
  for (const auto& [proposed, accepted] : proposed_and_accepted) {
    report.add(RoundRecord{.asked = true, .num_proposed = proposed, .num_accepted = accepted});
  }
  return report;
}

TEST(AcceptanceReport, LengthCountsTheBonusToken) {
  // 3 rounds, 0 + 1 + 3 accepted: 1 + 4/3.
  EXPECT_DOUBLE_EQ(report_of({{3, 0}, {3, 1}, {3, 3}}).acceptance_length(), 1 + 4.0 / 3);
}

TEST(AcceptanceReport, RatesAreConditional) {
  // Position 0: 2 of 3 rounds; position 1: 1 of those 2; position 2: 1 of 1.
  EXPECT_THAT(report_of({{3, 0}, {3, 1}, {3, 3}}).acceptance_rates(),
              ElementsAre(DoubleEq(2.0 / 3), DoubleEq(0.5), DoubleEq(1)));
}

TEST(AcceptanceReport, ARoundThatStoppedProposingDoesNotLowerTheNextRate) {
  // Position 1 was reached by the first round alone: the second accepted position 0 and stopped, the third did not.
  EXPECT_THAT(report_of({{2, 2}, {1, 1}, {2, 0}}).acceptance_rates(), ElementsAre(DoubleEq(2.0 / 3), DoubleEq(1)));
}

TEST(AcceptanceReport, PlainRoundsDoNotCount) {
  AcceptanceReport report;
  report.add(RoundRecord{});
  EXPECT_EQ(report.num_rounds, 0);
}

// Else a draft that rarely dares would look better than it is.
TEST(AcceptanceReport, ARoundWhoseDraftDeclinedCountsInTheLength) {
  EXPECT_DOUBLE_EQ(report_of({{0, 0}, {3, 2}}).acceptance_length(), 2);
}

TEST(AcceptanceReport, AddingReportsEqualsAddingRounds) {
  AcceptanceReport sum = report_of({{3, 2}});
  sum.add(report_of({{2, 2}, {3, 0}}));
  const AcceptanceReport whole = report_of({{3, 2}, {2, 2}, {3, 0}});
  EXPECT_EQ(sum.accepted_at, whole.accepted_at);
  EXPECT_EQ(sum.proposed_at, whole.proposed_at);
  EXPECT_EQ(sum.reached_at, whole.reached_at);
  EXPECT_DOUBLE_EQ(sum.acceptance_length(), whole.acceptance_length());
}

}  // namespace
}  // namespace speculators
