#include "draft/mtp/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/mtp/weights.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

ModelConfig verifier(const std::string& model_type) {
  return testing::tiny_layers(model_type, std::vector<std::string>(6, "sliding_attention"));
}

TEST(MtpConfig, ReadsWhatItWrites) {
  MtpConfig config = parse_mtp_config({{"num_nextn_predict_layers", 1}}, verifier("qwen3"), "config.json");
  config.normed_hidden_states = true;
  EXPECT_EQ(to_json(parse_mtp_config(to_json(config), config.verifier, "config.json")), to_json(config));
}

TEST(MtpConfig, WritesUpstreamsFieldAlone) {
  Json json = to_json(parse_mtp_config(Json::object(), verifier("qwen3"), "config.json"));
  json.erase("transformer_layer_config");
  EXPECT_EQ(json.dump(), R"({"num_nextn_predict_layers":1})");
}

TEST(MtpConfig, TheHeadIsOneLayerOfFullAttention) {
  const ModelConfig layer = parse_mtp_config(Json::object(), verifier("qwen3"), "config.json").layer();
  EXPECT_EQ(layer.num_hidden_layers, 1);
  EXPECT_TRUE(layer.layer_types.empty());
  EXPECT_FALSE(layer.sliding_window.has_value());
}

TEST(MtpConfig, RefusesSeveralLayers) {
  EXPECT_THAT(
      [] {
        parse_mtp_config({{"num_nextn_predict_layers", 2}}, verifier("qwen3"), "config.json");
      },
      ThrowsMessage<DataError>(HasSubstr("num_nextn_predict_layers: expected 1")));
}

TEST(MtpConfig, RefusesAFamilyWhoseLayerIsNotKnown) {
  ModelConfig config = verifier("qwen3");
  config.model_type = "qwen3_next";
  EXPECT_THAT([&] { parse_mtp_config(Json::object(), config, "config.json"); },
              ThrowsMessage<DataError>(HasSubstr("expected llama or qwen3, the families whose layers an MTP head is "
                                                 "made of here, found qwen3_next")));
}

// The file that upstream wrote and the one that we write of the same head.
TEST(MtpConfig, IsTheFileThatUpstreamWrites) {
  const fs::path folder = fs::path(SPECULATORS_SOURCE_DIR) / "tests" / "golden" / "draft" / "mtp_qwen3";
  const Json expected = read_json(folder / "config.json");
  const Speculator theirs = load_speculator(folder);
  const MtpConfig config = parse_mtp_config(theirs.config, theirs.layer_config, "config.json");
  Json ours = complete_speculator(theirs, to_json(config)).config;
  // Their class adds these: an accident of an empty name, and what a config without an origin leaves out.
  for (const char* key : {"architectures", "dtype"}) ours.at("transformer_layer_config").erase(key);
  Json without = expected;
  without.erase("auto_map");
  EXPECT_EQ(ours, without) << Json::diff(ours, without).dump();
}

TEST(MtpWeights, ToleratesCopiesOfTheVerifiersTensors) {
  std::vector<std::string> never;
  for (const WeightSpec& spec : mtp_weights({verifier("llama")})) {
    if (spec.required == WeightPresence::kNever) never.push_back(spec.name);
  }
  EXPECT_THAT(never, ElementsAre("embed_tokens.weight", "lm_head.weight", "verifier_lm_head.weight"));
}

}  // namespace
}  // namespace speculators
