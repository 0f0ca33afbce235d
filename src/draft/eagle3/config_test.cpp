#include "draft/eagle3/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

Json fields() {
  return {{"draft_vocab_size", 12}, {"eagle_aux_hidden_state_layer_ids", {0, 2, 6}}, {"norm_before_fc", true}};
}

Eagle3Config parse(const Json& json) {
  return parse_eagle3_config(json, testing::tiny_layers("llama", {"full_attention"}), "config.json");
}

void expect_refused(const char* key, const Json& value, const char* message) {
  Json json = fields();
  json[key] = value;
  EXPECT_THAT([&] { parse(json); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(Eagle3Config, ReadsWhatItWrites) {
  Eagle3Config config = parse(fields());
  config.norm_output = config.norm_before_residual = config.embed_requires_grad = true;
  EXPECT_EQ(to_json(parse(to_json(config))), to_json(config));
}

TEST(Eagle3Config, TakesAbsentFlagsForFalse) {
  const Eagle3Config config = parse({{"draft_vocab_size", 12}});
  EXPECT_FALSE(config.norm_before_residual || config.norm_before_fc || config.fc_norm || config.norm_output);
}

TEST(Eagle3Config, KeepsAbsentAuxLayersOpen) {
  EXPECT_THAT(parse({{"draft_vocab_size", 12}}).aux_layer_ids, IsEmpty());
}

TEST(Eagle3Config, WritesEveryFieldOfTheFormat) {
  std::vector<std::string> keys;
  const Json json = to_json(parse(fields()));
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys,
              ElementsAre("draft_vocab_size", "eagle_aux_hidden_state_layer_ids", "embed_requires_grad", "fc_norm",
                          "norm_before_fc", "norm_before_residual", "norm_output", "target_hidden_size"));
}

TEST(Eagle3Config, AssumesUpstreamsVocabularyWhenNoneIsGiven) {
  EXPECT_THAT([] { parse(Json::object()); }, ThrowsMessage<DataError>(HasSubstr("expected 1 ... 40 (the verifier's "
                                                                                "vocabulary), found 32000")));
}

TEST(Eagle3Config, RefusesUnsortedAuxLayers) {
  expect_refused("eagle_aux_hidden_state_layer_ids", {2, 0, 6}, "expected ascending, distinct layer ids");
}

TEST(Eagle3Config, RefusesRepeatedAuxLayers) {
  expect_refused("eagle_aux_hidden_state_layer_ids", {2, 2, 6}, "found [2, 2, 6]");
}

TEST(Eagle3Config, RefusesBothFeatureNorms) { expect_refused("fc_norm", true, "expected at most one of"); }

TEST(Eagle3Config, RefusesAVerifierOfAnotherWidth) {
  expect_refused("target_hidden_size", 32, "target_hidden_size: expected the draft's hidden_size 16, found 32");
}

TEST(Eagle3Config, RefusesAWrongType) {
  expect_refused("norm_output", 1, "norm_output: expected true or false, found 1");
}

}  // namespace
}  // namespace speculators
