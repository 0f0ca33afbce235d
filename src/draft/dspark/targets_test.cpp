#include "draft/dspark/targets.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

BlockConfig blocks_of(int64_t block_size, bool sample_from_anchor) {
  BlockConfig config;
  config.block_size = block_size;
  config.sample_from_anchor = sample_from_anchor;
  return config;
}

// Reference algorithms.md 22: accept* 0.9, 0.8, 0.5 -> 1 + 0.9 + 0.72 + 0.36.
TEST(ConfidenceMetrics, AcceptLenIsTheKnownNumber) {
  const BlockPlan plan{{0}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}}};
  const auto metrics = confidence_metrics(plan, blocks_of(3, true), {{0.9f, 0.8f, 0.5f}, std::nullopt});
  EXPECT_NEAR(metrics.at("accept_len").sum, 2.98, 1e-6);
  EXPECT_EQ(metrics.at("accept_len").total, 1);
  EXPECT_NEAR(metrics.at("accept_rate").sum, 2.2, 1e-6);
  EXPECT_EQ(metrics.at("accept_rate").total, 3);
  EXPECT_EQ(metrics.count("confidence_abs_error"), 0u);
}

// Slot 2 is not supervised: the prefix of slot 3 is 0, whatever its own acceptance.
TEST(ConfidenceMetrics, AHoleInTheMaskEndsThePrefix) {
  const BlockPlan plan{{0}, {{0, 1, 0}, {0, 3, 2}}};
  const auto metrics = confidence_metrics(plan, blocks_of(4, false), {{0.5f, 0.9f}, std::vector<float>{0.75f, 0.125f}});
  EXPECT_NEAR(metrics.at("accept_len").sum, 1.5, 1e-6);
  EXPECT_NEAR(metrics.at("confidence_cumprod_bias").sum, 0.25, 1e-6);  // slot 1 alone
  EXPECT_NEAR(metrics.at("confidence_abs_error").sum, 0.25 + 0.775, 1e-6);
  EXPECT_NEAR(metrics.at("confidence_pred_mean").sum, 0.875, 1e-6);
}

TEST(ConfidenceMetrics, WithoutPairsTotalsAreOne) {
  const auto metrics = confidence_metrics({}, blocks_of(4, true), {{}, std::vector<float>{}});
  for (const auto& [name, pair] : metrics) {
    EXPECT_EQ(pair.sum, 0) << name;
    EXPECT_EQ(pair.total, 1) << name;
  }
}

}  // namespace
}  // namespace speculators
