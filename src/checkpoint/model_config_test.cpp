#include "checkpoint/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace speculators {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

ModelConfig parse(const std::string& text) {
  return parse_model_config(parse_json(text, "config.json"), "config.json");
}

void expect_refused(const std::string& text, const std::string& message) {
  EXPECT_THAT([&] { parse(text); }, ThrowsMessage<DataError>(HasSubstr(message)));
}

TEST(ModelConfig, LlamaDefaultsFillAbsentKeys) {
  const ModelConfig got = parse(R"({"model_type":"llama"})");
  EXPECT_EQ(got.vocab_size, 32000);
  EXPECT_EQ(got.intermediate_size, 11008);
  EXPECT_EQ(got.num_key_value_heads, 32);
  EXPECT_EQ(got.head_dim, 128);
  EXPECT_EQ(got.max_position_embeddings, 2048);
  EXPECT_EQ(got.bos_token_id, 1);
  EXPECT_THAT(got.eos_token_ids, ElementsAre(2));
  EXPECT_THAT(got.layer_types, IsEmpty());
  EXPECT_EQ(got.rope, RopeParameters{});
}

TEST(ModelConfig, Qwen3DefaultsFillAbsentKeys) {
  const ModelConfig got = parse(R"({"model_type":"qwen3"})");
  EXPECT_EQ(got.vocab_size, 151936);
  EXPECT_EQ(got.intermediate_size, 22016);
  EXPECT_EQ(got.head_dim, 128);
  EXPECT_EQ(got.max_position_embeddings, 32768);
  EXPECT_EQ(got.bos_token_id, std::nullopt);
  EXPECT_EQ(got.sliding_window, std::nullopt);
  EXPECT_THAT(got.layer_types, SizeIs(32));
  EXPECT_THAT(got.layer_types, Each("full_attention"));
}

TEST(ModelConfig, WithoutAModelTypeQwen3IsMeant) { EXPECT_EQ(parse("{}"), parse(R"({"model_type":"qwen3"})")); }

TEST(ModelConfig, OtherTypesMustGiveTheirSizes) {
  expect_refused(R"({"model_type":"gpt_oss"})", "config.json: vocab_size: expected an integer, found nothing");
}

TEST(ModelConfig, QwenHeadDimDoesNotFollowTheHiddenSize) {
  EXPECT_EQ(
      parse(R"({"model_type":"qwen3","hidden_size":1024,"num_attention_heads":16,"num_key_value_heads":8})").head_dim,
      128);
}

TEST(ModelConfig, NullHeadsAndHeadDimAreComputed) {
  const ModelConfig got = parse(
      R"({"model_type":"qwen3","hidden_size":64,"num_attention_heads":8,"num_key_value_heads":null,"head_dim":null})");
  EXPECT_EQ(got.num_key_value_heads, 8);
  EXPECT_EQ(got.head_dim, 8);
}

TEST(ModelConfig, NullEndOfTextIsNotTheClassDefault) {
  EXPECT_THAT(parse(R"({"model_type":"llama","eos_token_id":null})").eos_token_ids, IsEmpty());
}

TEST(ModelConfig, EndOfTextMayBeAList) {
  EXPECT_THAT(parse(R"({"model_type":"llama","eos_token_id":[128001,128009]})").eos_token_ids,
              ElementsAre(128001, 128009));
}

TEST(ModelConfig, QwenWindowNeedsTheSwitch) {
  const char* const kOff = R"({"model_type":"qwen3","use_sliding_window":false,"sliding_window":2048})";
  EXPECT_EQ(parse(kOff).sliding_window, std::nullopt);
  const char* const kOn =
      R"({"model_type":"qwen3","use_sliding_window":true,"num_hidden_layers":3,"max_window_layers":1})";
  EXPECT_EQ(parse(kOn).sliding_window, 4096);
  EXPECT_THAT(parse(kOn).layer_types, ElementsAre("full_attention", "sliding_attention", "sliding_attention"));
}

TEST(ModelConfig, GivenLayerTypesWin) {
  const ModelConfig got =
      parse(R"({"model_type":"qwen3","num_hidden_layers":2,"use_sliding_window":true,"sliding_window":2048,)"
            R"("layer_types":["sliding_attention","full_attention"]})");
  EXPECT_THAT(got.layer_types, ElementsAre("sliding_attention", "full_attention"));
  EXPECT_EQ(got.sliding_window, 2048);
}

TEST(ModelConfig, BothRopeDialectsMeanTheSame) {
  const ModelConfig older =
      parse(R"({"model_type":"llama","rope_theta":500000.0,"rope_scaling":{"type":"llama3","factor":8.0,)"
            R"("low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}})");
  const ModelConfig newer =
      parse(R"({"model_type":"llama","rope_parameters":{"rope_type":"llama3","rope_theta":500000.0,"factor":8.0,)"
            R"("low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}})");
  EXPECT_EQ(older, newer);
  EXPECT_EQ(newer.rope.rope_theta, 500000.0);
  EXPECT_EQ(newer.rope.high_freq_factor, 4.0);
}

TEST(ModelConfig, NullRopeScalingKeepsTheTheta) {
  const ModelConfig got = parse(R"({"model_type":"qwen3","rope_scaling":null,"rope_theta":1000000})");
  EXPECT_EQ(got.rope.rope_theta, 1e6);
  EXPECT_EQ(got.rope.rope_type, "default");
}

TEST(ModelConfig, RopePerLayerTypeTakesTheSlidingOne) {
  const ModelConfig got =
      parse(R"({"model_type":"llama","rope_parameters":{"full_attention":{"rope_type":"default","rope_theta":1e6},)"
            R"("sliding_attention":{"rope_type":"default","rope_theta":5e4}}})");
  EXPECT_EQ(got.rope.rope_theta, 5e4);
}

TEST(ModelConfig, MropeOverTextIsPlainRope) {
  EXPECT_EQ(
      parse(R"({"model_type":"llama","rope_scaling":{"type":"mrope","mrope_section":[16,24,24]}})").rope.rope_type,
      "default");
}

TEST(ModelConfig, YarnTakesTheContextWhenTheOriginalIsAbsent) {
  const ModelConfig got = parse(R"({"model_type":"llama","max_position_embeddings":4096,)"
                                R"("rope_scaling":{"rope_type":"yarn","factor":32.0,"truncate":false}})");
  EXPECT_EQ(got.rope.original_max_position_embeddings, 4096);
  EXPECT_EQ(got.rope.truncate, false);
}

TEST(ModelConfig, CompositeModelsGiveTheirTextPart) {
  const ModelConfig got = parse(
      R"({"model_type":"qwen3_vl","architectures":["Qwen3VLForConditionalGeneration"],"tie_word_embeddings":true,)"
      R"("text_config":{"model_type":"qwen3","hidden_size":2048}})");
  EXPECT_EQ(got.model_type, "qwen3");
  EXPECT_EQ(got.hidden_size, 2048);
  EXPECT_TRUE(got.tie_word_embeddings);
  EXPECT_THAT(got.architectures, ElementsAre("Qwen3VLForConditionalGeneration"));
}

TEST(ModelConfig, ImpossibleSizesAreNamed) {
  expect_refused(R"({"model_type":"llama","hidden_size":0})", "hidden_size: expected 1 to 2147483648, found 0");
  expect_refused(R"({"model_type":"llama","vocab_size":-5})", "vocab_size: expected 1 to 2147483648, found -5");
  expect_refused(R"({"model_type":"llama","vocab_size":9223372036854775807})", "vocab_size: expected 1 to");
  expect_refused(R"({"model_type":"llama","hidden_size":100,"num_attention_heads":3})",
                 "hidden_size 100 is not a multiple of num_attention_heads 3; give head_dim");
  expect_refused(R"({"model_type":"llama","num_attention_heads":8,"num_key_value_heads":3})",
                 "num_attention_heads 8 is not a multiple of num_key_value_heads 3");
  expect_refused(R"({"model_type":"llama","head_dim":5})", "head_dim: expected an even number, found 5");
  expect_refused(R"({"model_type":"llama","rms_norm_eps":0})", "rms_norm_eps: expected above 0 and below 1, found 0");
  expect_refused(R"({"model_type":"llama","num_hidden_layers":2,"layer_types":["full_attention"]})",
                 "layer_types: expected 2 entries, found 1");
}

TEST(ModelConfig, WrongTypesAreNamed) {
  expect_refused(R"({"model_type":"llama","hidden_size":"big"})", "config.json: hidden_size: expected an integer");
  expect_refused(R"({"model_type":"llama","rope_scaling":3})", "config.json: rope_scaling: expected an object");
  expect_refused("[]", "config.json: expected a JSON object");
}

TEST(ModelConfig, BadRopeIsNamed) {
  expect_refused(R"({"model_type":"llama","rope_theta":0})", "rope_theta must be > 0, found 0");
  expect_refused(R"({"model_type":"llama","rope_scaling":{"rope_type":"spiral"}})",
                 "rope_type spiral: expected default, linear");
  expect_refused(R"({"model_type":"llama","rope_scaling":{"rope_type":"linear"}})",
                 "rope_type linear: factor is missing");
  expect_refused(
      R"({"model_type":"llama","rope_scaling":{"rope_type":"longrope","short_factor":[1,2],"long_factor":[1]}})",
      "short_factor and long_factor must be lists of one length");
}

TEST(ModelConfig, WritesEveryFieldThatVllmReads) {
  const Json json = to_json(parse(R"({"model_type":"qwen3","num_hidden_layers":1})"));
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps",
                          "attention_bias", "mlp_bias", "rope_parameters", "layer_types", "sliding_window",
                          "use_sliding_window", "tie_word_embeddings", "model_type"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_FALSE(json.contains("rope_scaling"));
  EXPECT_FALSE(json["rope_parameters"].contains("factor"));
}

TEST(ModelConfig, WrittenConfigsComeBackEqual) {
  const ModelConfig config =
      parse(R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":2880,"num_attention_heads":64,)"
            R"("num_key_value_heads":8,"head_dim":64,"num_hidden_layers":2,"sliding_window":128,"attention_bias":true,)"
            R"("layer_types":["sliding_attention","full_attention"],"eos_token_id":[1,2],)"
            R"("bos_token_id":null,"pad_token_id":0,)"
            R"("rope_scaling":{"rope_type":"yarn","factor":32.0,"beta_fast":32.0,"beta_slow":1.0,"truncate":false,)"
            R"("original_max_position_embeddings":4096},"rope_theta":150000})");
  EXPECT_EQ(parse_model_config(to_json(config), "again"), config);
}

TEST(ModelConfig, LongRopeComesBackEqual) {
  const ModelConfig config =
      parse(R"({"model_type":"llama","hidden_size":16,"num_attention_heads":4,"original_max_position_embeddings":4096,)"
            R"("rope_scaling":{"type":"su","short_factor":[1.0,1.5],"long_factor":[1,2]}})");
  EXPECT_EQ(config.rope.rope_type, "longrope");
  EXPECT_THAT(config.rope.long_factor, ElementsAre(1.0, 2.0));
  EXPECT_EQ(parse_model_config(to_json(config), "again"), config);
}

TEST(ModelConfig, AFolderWithoutModelTypeIsRefused) {
  const fs::path folder = fs::path(::testing::TempDir()) / "model_config_test";
  make_folders(folder);
  write_file(folder / "config.json", "{}");
  EXPECT_THAT([&] { read_model_config(folder); }, ThrowsMessage<DataError>(HasSubstr("model_type: expected a string")));
}

fs::path published_configs() {
  const char* shared = std::getenv("SPECULATORS_SHARED");
  const fs::path root = shared ? fs::path(shared) : fs::path(SPECULATORS_SOURCE_DIR) / ".." / "shared";
  return root / "assets" / "speculator-configs";
}

TEST(ModelConfig, PublishedSpeculatorConfigsRoundTrip) {
  if (!fs::exists(published_configs())) GTEST_SKIP() << "no folder of published configs; set SPECULATORS_SHARED";
  int num_read = 0;
  for (const auto& entry : fs::recursive_directory_iterator(published_configs())) {
    if (entry.path().extension() != ".json") continue;
    Json value = read_json(entry.path());
    if (value.contains("transformer_layer_config")) value = Json(value["transformer_layer_config"]);
    const std::string type = value.value("model_type", "");
    if (type != "llama" && type != "qwen3") continue;
    const ModelConfig config = parse_model_config(value, entry.path().string());
    EXPECT_EQ(parse_model_config(to_json(config), "again"), config) << entry.path();
    EXPECT_EQ(config.hidden_size, value["hidden_size"].get<int64_t>());
    ++num_read;
  }
  EXPECT_GE(num_read, 40);
}

}  // namespace
}  // namespace speculators
