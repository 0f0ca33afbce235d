#include "draft/dflash/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::vector<std::string> kSliding = {"sliding_attention"};

Json fields() {
  return {{"draft_vocab_size", 12}, {"aux_hidden_state_layer_ids", {0, 2, 6}}, {"mask_token_id", 3}, {"block_size", 4}};
}

DFlashConfig parse(const Json& json, const std::vector<std::string>& types = kSliding) {
  return parse_dflash_config(json, testing::tiny_layers("qwen3", types), "config.json");
}

void expect_refused(const char* key, const Json& value, const char* message) {
  Json json = fields();
  json[key] = value;
  EXPECT_THAT([&] { parse(json); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(DFlashConfig, ReadsWhatItWrites) {
  DFlashConfig config = parse(fields());
  config.sample_from_anchor = config.sliding_window_non_causal = true;
  EXPECT_EQ(to_json(parse(to_json(config))), to_json(config));
}

TEST(DFlashConfig, WritesEveryFieldOfTheFormat) {
  std::vector<std::string> keys;
  const Json json = to_json(parse(fields()));
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("aux_hidden_state_layer_ids", "block_size", "draft_vocab_size", "mask_token_id",
                                "sample_from_anchor", "sliding_window_non_causal", "target_hidden_size"));
}

TEST(DFlashConfig, TellsVllmThatFullLayersAreBidirectional) {
  EXPECT_EQ(to_json(parse(fields(), {"full_attention"})).at("sliding_window_non_causal"), true);
}

TEST(DFlashConfig, KeepsSlidingLayersCausal) {
  EXPECT_EQ(to_json(parse(fields())).at("sliding_window_non_causal"), false);
}

TEST(DFlashConfig, PredictsWithEverySlotButTheAnchor) { EXPECT_EQ(parse(fields()).speculative_tokens(), 3); }

TEST(DFlashConfig, PredictsWithTheAnchorWhenTrainedSo) {
  Json json = fields();
  json["sample_from_anchor"] = true;
  EXPECT_EQ(parse(json).speculative_tokens(), 4);
}

TEST(DFlashConfig, NeedsAuxLayers) {
  expect_refused("aux_hidden_state_layer_ids", Json::array(), "at least one layer id");
}

TEST(DFlashConfig, NeedsAMaskToken) { expect_refused("mask_token_id", nullptr, "mask_token_id: expected an integer"); }

TEST(DFlashConfig, RefusesAMaskTokenWithoutEmbedding) {
  expect_refused("mask_token_id", 40, "mask_token_id: expected an id in [0, 40), found 40");
}

TEST(DFlashConfig, RefusesABlockThatPredictsNothing) {
  expect_refused("block_size", 1, "block_size: expected at least 2");
}

TEST(DFlashConfig, RefusesSlidingLayersWithoutWindow) {
  ModelConfig layer = testing::tiny_layers("qwen3", kSliding);
  layer.sliding_window.reset();
  EXPECT_THAT([&] { parse_dflash_config(fields(), layer, "config.json"); },
              ThrowsMessage<DataError>(HasSubstr("sliding_window: expected a window of at least 1")));
}

TEST(DFlashConfig, RefusesLayerTypesOfAnotherNumber) {
  ModelConfig layer = testing::tiny_layers("qwen3", kSliding);
  layer.num_hidden_layers = 2;
  EXPECT_THAT([&] { parse_dflash_config(fields(), layer, "config.json"); },
              ThrowsMessage<DataError>(HasSubstr("layer_types: expected one entry for each of 2 layers, found 1")));
}

}  // namespace
}  // namespace speculators
