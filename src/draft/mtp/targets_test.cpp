#include "draft/mtp/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace speculators {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::IsEmpty;

// Rows 0-4 and 5-8 are documents, 9 and 10 padding.
BatchRows two_documents(std::vector<uint8_t> supervised) {
  return {{0, 0, 0, 0, 0, 1, 1, 1, 1, -1, -1}, std::move(supervised)};
}
const std::vector<int64_t> kPositions = {0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 0};
const std::vector<uint8_t> kAllSupervised = {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};

TEST(MtpTargets, LabelsLieTwoRowsAheadAndOneMoreEachStep) {
  const MtpPlan plan = plan_mtp_steps(two_documents(kAllSupervised), kPositions, 3, false);
  EXPECT_THAT(plan.steps[0].labelled, ElementsAre(0, 1, 2, 5, 6));
  EXPECT_THAT(plan.steps[1].labelled, ElementsAre(0, 1, 5));
  EXPECT_THAT(plan.steps[2].labelled, ElementsAre(0));
}

TEST(MtpTargets, TheMaskIsThatOfThePredictedToken) {
  const MtpPlan plan = plan_mtp_steps(two_documents({0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}), kPositions, 2, false);
  EXPECT_THAT(plan.steps[0].labelled, ElementsAre(1));
  EXPECT_THAT(plan.steps[1].labelled, ElementsAre(0));
}

// Row 1 predicts x_3 and sees row 0; step 1 asks for row 0 of step 0.
TEST(MtpTargets, RowsThatNothingReadsAreLeftOut) {
  const MtpPlan plan = plan_mtp_steps(two_documents({0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}), kPositions, 2, false);
  EXPECT_THAT(plan.steps[0].context, ElementsAre(0, 1));
  EXPECT_THAT(plan.steps[0].computed, ElementsAre(0, 1));
  EXPECT_THAT(plan.steps[1].context, ElementsAre(0));
}

TEST(MtpTargets, TheLastStepComputesLabelledRowsAlone) {
  const MtpPlan plan = plan_mtp_steps(two_documents({0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}), kPositions, 1, false);
  EXPECT_THAT(plan.steps[0].context, ElementsAre(0, 1, 2));
  EXPECT_THAT(plan.steps[0].computed, ElementsAre(2));
}

TEST(MtpTargets, StepsBeyondEveryDocumentAreEmpty) {
  const MtpPlan plan = plan_mtp_steps(two_documents(kAllSupervised), kPositions, 5, false);
  EXPECT_THAT(plan.steps[4].context, IsEmpty());
}

// Eight tokens, three steps: four rows. Four tokens: two steps of one row (reference section 22).
TEST(MtpTargets, UpstreamCutsEveryStepToTheSameRows) {
  const auto rows_of = [](int64_t num_tokens) {
    const BatchRows rows{std::vector<int64_t>(num_tokens, 0), std::vector<uint8_t>(num_tokens, 1)};
    std::vector<int64_t> positions;
    for (int64_t i = 0; i < num_tokens; ++i) positions.push_back(i);
    std::vector<size_t> counts;
    for (const MtpStep& step : plan_mtp_steps(rows, positions, 3, true).steps) counts.push_back(step.labelled.size());
    return counts;
  };
  EXPECT_THAT(rows_of(8), ElementsAre(4, 4, 4));
  EXPECT_THAT(rows_of(4), ElementsAre(1, 1, 0));
  EXPECT_THAT(rows_of(3), ElementsAre(1, 0, 0));
  EXPECT_THAT(rows_of(2), ElementsAre(0, 0, 0));
}

TEST(MtpTargets, UpstreamsLabelsLieInTheNextDocumentToo) {
  const MtpPlan plan = plan_mtp_steps(two_documents(kAllSupervised), kPositions, 1, true);
  EXPECT_THAT(plan.steps[0].labelled, ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(plan.document_first, ElementsAre(0, 0, 0, 0, 0, 5, 5, 5, 5, 9, 10));
}

TEST(MtpTargets, StepWeightsFallByBetaAndSumToOne) {
  EXPECT_THAT(mtp_step_weights(0.6, 3), ElementsAre(DoubleNear(0.5102040816, 1e-10), DoubleNear(0.3061224490, 1e-10),
                                                    DoubleNear(0.1836734694, 1e-10)));
}

TEST(MtpTargets, ARowWeighsItsStepsShare) {
  const MtpPlan plan = plan_mtp_steps(two_documents({0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0}), kPositions, 3, false);
  EXPECT_THAT(mtp_row_weights(plan, {0.5, 0.3, 0.2}), ElementsAre(0.25f, 0.25f, 0.15f, 0.15f, 0.2f));
}

TEST(MtpTargets, MetricsAreWeightedLossesAndHits) {
  const MtpPlan plan = plan_mtp_steps(two_documents({0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0}), kPositions, 2, false);
  const auto metrics = mtp_metrics(plan, {0.25f, 0.25f, 0.125f, 0.125f}, {4, 8, 2, 6}, {1, 0, 1, 1});
  EXPECT_EQ(metrics.at("loss_step_0").sum, 3);
  EXPECT_EQ(metrics.at("loss_step_1").sum, 1);
  EXPECT_EQ(metrics.at("loss").sum, 4);
  EXPECT_EQ(metrics.at("acc_step_0").sum, 1);
  EXPECT_EQ(metrics.at("acc_step_0").total, 2);
}

}  // namespace
}  // namespace speculators
