#include "draft/xpress/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/speculator_for_test.h"
#include "draft/xpress/weights.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Json fields() {
  return {{"draft_vocab_size", 12}, {"aux_hidden_state_layer_ids", {0, 2, 6}}, {"mask_token_id", 3}, {"block_size", 4}};
}

XPressConfig parse(const Json& json) {
  return parse_xpress_config(json, testing::tiny_layers("qwen3", {"full_attention"}), "config.json");
}

void expect_refused(const char* key, const Json& value, const char* message) {
  Json json = fields();
  json[key] = value;
  EXPECT_THAT([&] { parse(json); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(XPressConfig, AbsentKeysMeanUpstreamsDefaults) {
  const XPressConfig config = parse(fields());
  EXPECT_FALSE(config.sample_from_anchor);
  EXPECT_EQ(config.xpress_rank, 256);
  EXPECT_EQ(config.xpress_mlp_ratio, 2);
  EXPECT_EQ(config.num_jacobi_passes, 6);
}

TEST(XPressConfig, ReadsWhatItWrites) {
  XPressConfig config = parse(fields());
  config.sample_from_anchor = true;
  config.xpress_rank = 7;
  config.xpress_mlp_ratio = 4;
  config.num_jacobi_passes = 0;
  EXPECT_EQ(to_json(parse(to_json(config))), to_json(config));
}

// DFlash alone has to tell vLLM about full layers with this flag.
TEST(XPressConfig, WritesTheWindowRuleAsItIs) {
  EXPECT_EQ(to_json(parse(fields())).at("sliding_window_non_causal"), false);
}

TEST(XPressConfig, RefusesARefinerWithoutWidth) {
  expect_refused("xpress_rank", 0, "config.json: xpress_rank: expected at least 1, found 0");
  expect_refused("xpress_mlp_ratio", 0, "xpress_mlp_ratio: expected at least 1");
}

TEST(XPressConfig, RefusesANegativeNumberOfPasses) {
  expect_refused("num_jacobi_passes", -1, "num_jacobi_passes: expected at least 0, found -1");
}

TEST(XPressWeights, TheRefinerReadsTheVerifiersTokensAndWritesTheDrafts) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const WeightSpec& spec : xpress_weights(parse(fields()))) shapes[spec.name] = spec.shape;
  EXPECT_THAT(shapes["refiner_head.token_embed.weight"], ElementsAre(40, 256));
  EXPECT_THAT(shapes["refiner_head.in_proj.weight"], ElementsAre(256, 3 * 256));
  EXPECT_THAT(shapes["refiner_head.mix_l"], ElementsAre(256, 4, 4));
  EXPECT_THAT(shapes["refiner_head.mlp_down.weight"], ElementsAre(256, 512));
  EXPECT_THAT(shapes["refiner_head.readout.weight"], ElementsAre(12, 256));
}

}  // namespace
}  // namespace speculators
