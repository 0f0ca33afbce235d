#include "draft/dspark/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/dspark/weights.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Json fields() {
  return {{"draft_vocab_size", 12}, {"aux_hidden_state_layer_ids", {0, 2, 6}}, {"mask_token_id", 3}, {"block_size", 4}};
}

DSparkConfig parse(const Json& json) {
  return parse_dspark_config(json, testing::tiny_layers("qwen3", {"full_attention"}), "config.json");
}

void expect_refused(const char* key, const Json& value, const char* message) {
  Json json = fields();
  json[key] = value;
  EXPECT_THAT([&] { parse(json); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(DSparkConfig, AbsentKeysMeanUpstreamsDefaults) {
  const DSparkConfig config = parse(fields());
  EXPECT_TRUE(config.sample_from_anchor);
  EXPECT_EQ(config.markov_rank, 256);
  EXPECT_EQ(config.markov_head_type, MarkovHeadType::kVanilla);
  EXPECT_TRUE(config.enable_confidence_head && config.confidence_head_with_markov);
}

TEST(DSparkConfig, ReadsWhatItWrites) {
  DSparkConfig config = parse(fields());
  config.sample_from_anchor = config.enable_confidence_head = config.confidence_head_with_markov = false;
  config.markov_rank = 7;
  config.markov_head_type = MarkovHeadType::kRnn;
  EXPECT_EQ(to_json(parse(to_json(config))), to_json(config));
}

TEST(DSparkConfig, WritesTheHeadsAndTheAnchorRule) {
  const Json json = to_json(parse(fields()));
  for (const char* key : {"sample_from_anchor", "markov_rank", "markov_head_type", "enable_confidence_head",
                          "confidence_head_with_markov"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
}

TEST(DSparkConfig, ProposesOneTokenMoreFromTheAnchor) {
  EXPECT_EQ(parse(fields()).speculative_tokens(), 4);
  Json json = fields();
  json["sample_from_anchor"] = false;
  EXPECT_EQ(parse(json).speculative_tokens(), 3);
}

TEST(DSparkConfig, RefusesAnUnknownHead) {
  expect_refused("markov_head_type", "cubic", "markov_head_type: expected vanilla, gated, rnn, found \"cubic\"");
}

TEST(DSparkConfig, RefusesANegativeRank) { expect_refused("markov_rank", -1, "markov_rank: expected at least 0"); }

TEST(DSparkConfig, RefusesAConfidenceHeadThatReadsAMissingMarkovHead) {
  expect_refused("markov_rank", 0, "confidence_head_with_markov: expected false without a Markov head");
}

TEST(DSparkConfig, RefusesABlockThatPredictsNothing) {
  expect_refused("block_size", 0, "block_size: expected at least 1");
}

std::vector<int64_t> shape_of(const WeightTable& table, const std::string& name) {
  for (const WeightSpec& spec : table) {
    if (spec.name == name) return spec.shape;
  }
  return {};
}

TEST(DSparkWeights, OneHeadReadsTheVerifiersTokensTheOtherWritesTheDrafts) {
  const WeightTable table = dspark_weights(parse(fields()));
  EXPECT_THAT(shape_of(table, "markov_head.markov_w1.weight"), ::testing::ElementsAre(40, 256));
  EXPECT_THAT(shape_of(table, "markov_head.markov_w2.weight"), ::testing::ElementsAre(12, 256));
  EXPECT_THAT(shape_of(table, "confidence_head.proj.weight"), ::testing::ElementsAre(1, 16 + 256));
}

TEST(DSparkWeights, WithoutHeadsItIsDFlash) {
  Json json = fields();
  json["markov_rank"] = 0;
  json["enable_confidence_head"] = false;
  for (const WeightSpec& spec : dspark_weights(parse(json)))
    EXPECT_FALSE(spec.name.starts_with("markov_head.") || spec.name.starts_with("confidence_head.")) << spec.name;
}

}  // namespace
}  // namespace speculators
