#include "draft/eagle3/targets.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Two documents and a row of padding.
BatchRows two_documents() { return {{0, 0, 0, 1, 1, 1, -1}, {0, 1, 1, 1, 1, 1, 0}}; }

std::vector<int64_t> loss_rows(const ChainPlan& plan, int64_t step) {
  std::vector<int64_t> rows;
  for (const ChainPair& pair : plan.pairs) {
    if (pair.step == step && pair.in_loss) rows.push_back(pair.row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST(PlanChains, AStepIsGatedByTheMaskOfItsTargetRow) {
  const ChainPlan plan = plan_chains(two_documents(), 3, /*compat_upstream=*/false);
  EXPECT_THAT(loss_rows(plan, 0), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(loss_rows(plan, 1), ElementsAre(0, 1, 3, 4));  // row 0 is a prompt row: its own target is not in the loss
  EXPECT_THAT(loss_rows(plan, 2), ElementsAre(0, 3));
}

TEST(PlanChains, UpstreamsChainsRunIntoTheNextDocument) {
  const ChainPlan plan = plan_chains(two_documents(), 3, /*compat_upstream=*/true);
  EXPECT_THAT(loss_rows(plan, 0), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(loss_rows(plan, 1), ElementsAre(0, 1, 2, 3, 4));  // row 2 is compared with row 3 of the other document
  EXPECT_THAT(loss_rows(plan, 2), ElementsAre(0, 1, 2, 3));
}

TEST(PlanChains, LongerChainsComeFirstSoThatEveryStepIsAPrefix) {
  const ChainPlan plan = plan_chains(two_documents(), 3, /*compat_upstream=*/false);
  EXPECT_THAT(plan.rows, ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(plan.num_active, ElementsAre(6, 4, 2));
}

TEST(PlanChains, AMaskWithoutSupervisionGivesNothing) {
  const ChainPlan plan = plan_chains({{0, 0, 0}, {0, 0, 0}}, 3, /*compat_upstream=*/false);
  EXPECT_THAT(plan.pairs, IsEmpty());
  EXPECT_THAT(plan.num_active, ElementsAre(0, 0, 0));
}

TEST(PlanChains, AChainThroughAHoleIsFollowedForTheAccuracyOfLaterSteps) {
  const ChainPlan plan = plan_chains({{0, 0, 0}, {1, 0, 1}}, 3, /*compat_upstream=*/false);
  const auto is_metric_only = [](const ChainPair& pair) { return pair.row == 0 && pair.step == 1 && !pair.in_loss; };
  EXPECT_EQ(std::count_if(plan.pairs.begin(), plan.pairs.end(), is_metric_only), 1);
  EXPECT_THAT(plan.num_loss_pairs, ElementsAre(2, 1, 1));
}

TEST(ChainWeights, DecayByStepOverTheNumberOfLossPairs) {
  const ChainPlan plan = plan_chains({{0, 0}, {1, 1}}, 2, /*compat_upstream=*/false);
  const std::vector<float> weights = chain_weights(plan, 0.5);
  ASSERT_EQ(weights.size(), 3u);
  EXPECT_NEAR(weights[0], 1.0 / 2.00001, 1e-7);
  EXPECT_NEAR(weights[2], 0.5 / 1.00001, 1e-7);
}

// Reference algorithms.md 22: five rows, all supervised.
nn::PairOutcome outcome_of_hits(const ChainPlan& plan, const std::vector<std::vector<uint8_t>>& hits) {
  nn::PairOutcome outcome;
  for (const ChainPair& pair : plan.pairs) {
    outcome.value.push_back(1.0f);
    outcome.match.push_back(hits[pair.step][pair.row]);
  }
  return outcome;
}

TEST(ChainMetrics, AChainIsRightOnlyWhileEveryStepWas) {
  const BatchRows rows{{0, 0, 0, 0, 0}, {1, 1, 1, 1, 1}};
  const ChainPlan plan = plan_chains(rows, 3, /*compat_upstream=*/true);
  const auto outcome = outcome_of_hits(plan, {{1, 1, 0, 1, 1}, {1, 0, 1, 1}, {0, 0, 0}});
  const auto metrics = chain_metrics(plan, rows, outcome, {}, 1.0, /*compat_upstream=*/true);
  EXPECT_EQ(metrics.at("full_acc_0").sum, 4);
  EXPECT_EQ(metrics.at("full_acc_0").total, 5);
  EXPECT_EQ(metrics.at("cond_acc_0").total, 5);
  EXPECT_EQ(metrics.at("full_acc_1").sum, 2);
  EXPECT_EQ(metrics.at("full_acc_1").total, 4);
  EXPECT_EQ(metrics.at("cond_acc_1").sum, 2);
  EXPECT_EQ(metrics.at("cond_acc_1").total, 3);
  EXPECT_EQ(metrics.at("cond_acc_2").total, 1);
}

TEST(ChainMetrics, TheLossIsTheSumOverSteps) {
  const BatchRows rows{{0, 0, 0}, {1, 1, 1}};
  const ChainPlan plan = plan_chains(rows, 2, /*compat_upstream=*/false);
  const auto metrics = chain_metrics(plan, rows, outcome_of_hits(plan, {{1, 1, 1}, {1, 1, 1}}), {}, 0.5, false);
  EXPECT_NEAR(metrics.at("loss_0").sum, 1.0, 1e-5);
  EXPECT_NEAR(metrics.at("loss_1").sum, 0.5, 1e-5);
  EXPECT_NEAR(metrics.at("loss").sum, 1.5, 1e-5);
  EXPECT_EQ(metrics.at("loss").total, 1);
}

TEST(ChainMetrics, TermsAreReportedWithoutTheirWeight) {
  const BatchRows rows{{0, 0}, {1, 1}};
  const ChainPlan plan = plan_chains(rows, 1, /*compat_upstream=*/false);
  nn::PairOutcome outcome = outcome_of_hits(plan, {{1, 1}});
  outcome.terms = {{2, 2}, {4, 4}};
  const auto metrics = chain_metrics(plan, rows, outcome, nn::parse_loss_spec(R"({"ce": 0.1, "tv": 0.9})"), 1.0, false);
  EXPECT_NEAR(metrics.at("ce_loss_0").sum, 2.0, 1e-4);
  EXPECT_NEAR(metrics.at("tv_loss_0").sum, 4.0, 1e-4);
}

}  // namespace
}  // namespace speculators
