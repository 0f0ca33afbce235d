#include "draft/peagle/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

Json fields() {
  return {{"draft_vocab_size", 12}, {"eagle_aux_hidden_state_layer_ids", {0, 2, 6}}, {"mask_token_id", 3}};
}

PEagleConfig parse(const Json& json) {
  return parse_peagle_config(json, testing::tiny_layers("llama", {"full_attention"}), "config.json");
}

void expect_refused(const Json& json, const char* message) {
  EXPECT_THAT([&] { parse(json); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(PEagleConfig, ReadsWhatItWrites) {
  PEagleConfig config = parse(fields());
  config.norm_before_residual = true;
  config.embed_requires_grad = false;
  EXPECT_EQ(to_json(parse(to_json(config))), to_json(config));
}

TEST(PEagleConfig, TakesAnAbsentEmbeddingFlagForTrue) { EXPECT_TRUE(parse(fields()).embed_requires_grad); }

TEST(PEagleConfig, WritesEveryFieldOfTheFormat) {
  std::vector<std::string> keys;
  const Json json = to_json(parse(fields()));
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys, UnorderedElementsAre("draft_vocab_size", "eagle_aux_hidden_state_layer_ids", "embed_requires_grad",
                                         "fc_norm", "mask_token_id", "norm_before_fc", "norm_before_residual",
                                         "norm_output", "target_hidden_size"));
}

TEST(PEagleConfig, NeedsAMaskToken) {
  Json json = fields();
  json.erase("mask_token_id");
  expect_refused(json, "mask_token_id");
}

TEST(PEagleConfig, RefusesAMaskTokenOutsideTheVocabulary) {
  Json json = fields();
  json["mask_token_id"] = 40;
  expect_refused(json, "mask_token_id: expected an id in [0, 40), found 40");
}

TEST(PEagleConfig, RefusesWhatEagle3Refuses) {
  Json json = fields();
  json["fc_norm"] = json["norm_before_fc"] = true;
  expect_refused(json, "expected at most one of norm_before_fc and fc_norm");
}

}  // namespace
}  // namespace speculators
