#include "draft/dflash2/targets.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

// Two blocks of four slots; the second one has only its slot 1 supervised.
BlockPlan two_blocks(bool sample_from_anchor) {
  BlockPlan plan{{0, 10}, {}};
  for (int64_t offset = sample_from_anchor ? 0 : 1; offset < 4; ++offset) plan.pairs.push_back({0, offset, 0});
  plan.pairs.push_back({1, 1, 0});
  return plan;
}

BlockConfig blocks_of_four(bool sample_from_anchor) {
  BlockConfig config;
  config.block_size = 4;
  config.sample_from_anchor = sample_from_anchor;
  return config;
}

TEST(SelectorMetrics, CountCoverageAndTheRunOfChoices) {
  // A choice that training put among the candidates is right and does not count.
  const auto metrics = selector_metrics(two_blocks(false), blocks_of_four(false), 16,
                                        {{1, 1, 0, 1}, {1, 0, 1, 1}, {0.5f, 0.25f, 0.125f, 1.0f}});
  EXPECT_EQ(metrics.at("unary_candidate_recall_at_16").sum, 3);
  EXPECT_EQ(metrics.at("unary_candidate_recall_at_16").total, 4);
  EXPECT_NEAR(metrics.at("unary_candidate_target_mass_at_16").sum, 1.875, 1e-6);
  EXPECT_EQ(metrics.at("unary_candidate_target_mass_at_16").total, 4);
  EXPECT_EQ(metrics.at("teacher_forced_selector_acc").sum, 2);
  EXPECT_EQ(metrics.at("teacher_forced_selector_acc").total, 3);
  EXPECT_EQ(metrics.at("eal").sum, 2 + 2);
  EXPECT_EQ(metrics.at("eal").total, 2);
  EXPECT_EQ(metrics.at("unary_top_16_oracle_accepted_length").sum, 3 + 2);
  EXPECT_EQ(metrics.at("unary_top_16_oracle_accepted_length").total, 2);
}

TEST(SelectorMetrics, TheOracleStartsBehindTheAnchorEvenWhereThatPredicts) {
  const auto metrics =
      selector_metrics(two_blocks(true), blocks_of_four(true), 4, {{0, 1, 1, 1, 1}, {0, 1, 1, 1, 1}, {0, 0, 0, 0, 0}});
  EXPECT_EQ(metrics.at("unary_top_4_oracle_accepted_length").sum, 4 + 2);
  EXPECT_EQ(metrics.at("eal").sum, 1 + 1);  // both miss slot 0, the second because it is not supervised
}

}  // namespace
}  // namespace speculators
