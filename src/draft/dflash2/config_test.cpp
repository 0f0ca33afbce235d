#include "draft/dflash2/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/dflash2/weights.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

Json fields() {
  return {{"draft_vocab_size", 40}, {"aux_hidden_state_layer_ids", {0, 2, 6}}, {"mask_token_id", 3}, {"block_size", 4}};
}

DFlash2Config parse(const Json& json) {
  return parse_dflash2_config(json, testing::tiny_layers("qwen3", {"sliding_attention"}), "config.json");
}

void expect_refused(const char* key, const Json& value, const char* message) {
  Json json = fields();
  json[key] = value;
  EXPECT_THAT([&] { parse(json); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(DFlash2Config, AbsentKeysMeanUpstreamsDefaults) {
  const DFlash2Config config = parse(fields());
  EXPECT_TRUE(config.sliding_window_non_causal);
  EXPECT_FALSE(config.sample_from_anchor);
  EXPECT_EQ(config.conv_kernel_size, 2);
  EXPECT_EQ(config.conv_group_size, 16);
  EXPECT_EQ(config.selector_rank, 256);
  EXPECT_EQ(config.selector_top_k, 16);
  EXPECT_EQ(config.speculative_tokens(), 3);
}

TEST(DFlash2Config, ReadsWhatItWrites) {
  DFlash2Config config = parse(fields());
  config.sliding_window_non_causal = false;
  config.conv_kernel_size = 4;
  config.conv_group_size = 2;
  config.selector_rank = 7;
  config.selector_top_k = 40;
  EXPECT_EQ(to_json(parse(to_json(config))), to_json(config));
}

TEST(DFlash2Config, WritesEveryFieldOfTheFormat) {
  std::vector<std::string> keys;
  const Json json = to_json(parse(fields()));
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys,
              UnorderedElementsAre("aux_hidden_state_layer_ids", "block_size", "conv_group_size", "conv_kernel_size",
                                   "draft_vocab_size", "mask_token_id", "sample_from_anchor", "selector_rank",
                                   "selector_top_k", "sliding_window_non_causal", "target_hidden_size"));
}

TEST(DFlash2Config, RefusesAReducedVocabulary) {
  expect_refused("draft_vocab_size", 12,
                 "draft_vocab_size: expected the verifier's 40, since dflash2 knows no reduced");
}
TEST(DFlash2Config, RefusesMoreTapsThanSlots) {
  expect_refused("conv_kernel_size", 5, "conv_kernel_size: expected a number in [1, 4], block_size, found 5");
}
TEST(DFlash2Config, RefusesAConvolutionWithoutTaps) {
  expect_refused("conv_kernel_size", 0, "conv_kernel_size: expected a number in [1, 4]");
}
TEST(DFlash2Config, RefusesGroupsThatDoNotFillTheWidth) {
  expect_refused("conv_group_size", 3, "conv_group_size: expected a divisor of hidden_size 16, found 3");
}
TEST(DFlash2Config, RefusesGroupsWithoutChannels) {
  expect_refused("conv_group_size", 0, "conv_group_size: expected a number in [1, 16]");
}
TEST(DFlash2Config, RefusesMoreCandidatesThanTokens) {
  expect_refused("selector_top_k", 41, "selector_top_k: expected a number in [1, 40], vocab_size, found 41");
}
TEST(DFlash2Config, RefusesASelectorWithoutRank) {
  expect_refused("selector_rank", 0, "selector_rank: expected at least 1, found 0");
}

std::vector<int64_t> shape_of(const WeightTable& table, const std::string& name) {
  for (const WeightSpec& spec : table) {
    if (spec.name == name) return spec.shape;
  }
  return {};
}

TEST(DFlash2Weights, HoldTwoConvolutionsPerLayerAndTheSelector) {
  Json json = fields();
  json["conv_kernel_size"] = 3;
  json["conv_group_size"] = 4;
  const WeightTable table = dflash2_weights(parse(json));
  EXPECT_THAT(shape_of(table, "layers.0.attention_conv.base_kernel"), ElementsAre(2, 3, 16));
  EXPECT_THAT(shape_of(table, "layers.0.mlp_conv.kernel_projection.weight"), ElementsAre(2 * 3 * 4, 16));
  EXPECT_THAT(shape_of(table, "candidate_selector.predecessor_codebook"), ElementsAre(40, 256));
  EXPECT_THAT(shape_of(table, "candidate_selector.hidden_projection.weight"), ElementsAre(256, 16));
}

}  // namespace
}  // namespace speculators
