#include "draft/xpress/targets.h"

#include <gmock/gmock.h>

namespace speculators {
namespace {

using testing::Contains;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::Key;
using testing::Not;

XPressConfig blocks_of(int64_t block_size, bool sample_from_anchor = false) {
  XPressConfig config;
  config.block_size = block_size;
  config.sample_from_anchor = sample_from_anchor;
  return config;
}

// Two documents of three rows.
BatchRows two_documents() { return {{0, 0, 0, 1, 1, 1}, {1, 1, 1, 1, 1, 1}}; }
const std::vector<int64_t> kTokens = {10, 11, 12, 20, 21, 22};

TEST(ForcedTokens, BeforeTheAnchorsOwnSlotStandsTheTokenInFrontOfIt) {
  EXPECT_THAT(forced_tokens(blocks_of(3), two_documents(), kTokens, {1, 4}), ElementsAre(10, 11, 12, 20, 21, 22));
}

TEST(ForcedTokens, AtADocumentsBeginTheAnchorStandsForTheTokenInFrontOfIt) {
  EXPECT_THAT(forced_tokens(blocks_of(2), two_documents(), kTokens, {0, 3}), ElementsAre(10, 10, 20, 20));
}

TEST(ForcedTokens, FromTheAnchorOnEverySlotReadsItsOwnRow) {
  EXPECT_THAT(forced_tokens(blocks_of(3, true), two_documents(), kTokens, {1, 4}),
              ElementsAre(11, 12, 20, 21, 22, 22));  // the last one lies behind the packed row
}

TEST(RoundTokens, TheDraftsTokensStandBeforeTheSlotsBehindTheFirstThatPredicts) {
  EXPECT_THAT(round_tokens(blocks_of(4), {10, 11, 12, 13}, {0, 1, 2, 3}), ElementsAre(10, 11, 1, 2));
  EXPECT_THAT(round_tokens(blocks_of(4, true), {11, 12, 13, 14}, {0, 1, 2, 3}), ElementsAre(11, 0, 1, 2));
}

TEST(DataLabels, AreTheTokensBehindTheTargets) {
  const BlockPlan plan{{0}, {{0, 1, 0}, {0, 2, 1}}};
  EXPECT_THAT(data_labels(plan, blocks_of(3), two_documents(), kTokens, false), ElementsAre(11, 12));
}

// The last row of a document predicts a token that the data does not have.
TEST(DataLabels, BehindADocumentsEndThereIsNone) {
  const BlockPlan plan{{1, 5}, {{0, 1, 2}, {1, 0, 5}}};
  EXPECT_THAT(data_labels(plan, blocks_of(2, true), two_documents(), kTokens, false), ElementsAre(-1, -1));
  EXPECT_THAT(data_labels(plan, blocks_of(2, true), two_documents(), kTokens, true), ElementsAre(20, 22));
}

XPressSums known_sums() {
  XPressSums sums;
  sums.forced = {.loss = 2, .terms = {0, 0, 0, 3, 0.5, 0, 0}, .acceptance = 1.5, .hits = 1};
  sums.rounds = {{.loss = 1}, {.loss = 4}};
  sums.base = PassSums{.loss = 10, .terms = {}, .acceptance = 0.5, .hits = 0};
  return sums;
}

TEST(XPressMetrics, TheLossIsTheForcedOneAndSharesOfTheOthers) {
  const auto metrics = xpress_metrics({}, known_sums(), 4);
  EXPECT_THAT(metrics.at("loss").sum, DoubleNear(2 + 0.3 * 2.5 + 0.6 * 10, 1e-12));
  EXPECT_EQ(metrics.at("consistency_loss").sum, 2.5);
  EXPECT_EQ(metrics.at("consistency_round1_loss").sum, 4);
  EXPECT_EQ(metrics.at("accept_rate").total, 4);
}

TEST(XPressMetrics, TermsAreReportedOfSeveralOrOfTheDatasLabels) {
  XPressTrainingOptions options;
  options.loss.terms = {{nn::LossKind::kCrossEntropy, 1}};
  EXPECT_THAT(xpress_metrics(options, known_sums(), 4), Not(Contains(Key("ce_loss"))));
  options.ce_from_data = true;
  EXPECT_EQ(xpress_metrics(options, known_sums(), 4).at("ce_loss").sum, 3);
  options.loss.terms.push_back({nn::LossKind::kTotalVariation, 1});
  EXPECT_EQ(xpress_metrics(options, known_sums(), 4).at("tv_loss").sum, 0.5);
}

TEST(XPressMetrics, WhatIsNotTrainedIsNotReported) {
  XPressSums sums = known_sums();
  sums.rounds.clear();
  sums.base.reset();
  const auto metrics = xpress_metrics({}, sums, 4);
  EXPECT_EQ(metrics.at("loss").sum, 2);
  EXPECT_THAT(metrics, Not(Contains(Key("consistency_loss"))));
  EXPECT_THAT(metrics, Not(Contains(Key("base_accept_rate"))));
}

}  // namespace
}  // namespace speculators
