#include "draft/speculator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/errors.h"
#include "draft/dflash/config.h"
#include "draft/eagle3/config.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

const fs::path kGolden = fs::path(SPECULATORS_SOURCE_DIR) / "tests" / "golden" / "draft";

Speculator tiny_eagle3() {
  Eagle3Config config;
  config.layer = testing::tiny_layers("llama", {"full_attention"});
  config.draft_vocab_size = 12;
  config.aux_layer_ids = {0, 2, 6};
  return testing::new_speculator("eagle3", config.layer, to_json(config), 3);
}

// Upstream's text without `auto_map`, which names a Python file that upstream drops beside it.
std::string without_auto_map(std::string text) {
  const size_t begin = text.find("  \"auto_map\""), end = text.find("},\n", begin) + 3;
  return text.erase(begin, end - begin);
}

TEST(SaveSpeculator, WritesTheConfigOfUpstreamByteForByteForEagle3) {
  const testing::TemporaryFolder folder;
  const Speculator upstream = load_speculator(kGolden / "eagle3_llama_bias_full_vocabulary");
  const Eagle3Config config = parse_eagle3_config(upstream.config, upstream.layer_config, "golden");
  const TensorFile weights = TensorFile::open_folder(upstream.folder);
  const NamedTensors tensors(weights.tensors().begin(), weights.tensors().end());
  save_speculator(folder.path() / "out", complete_speculator(upstream, to_json(config)), tensors);
  EXPECT_EQ(read_file(folder.path() / "out" / "config.json"),
            without_auto_map(read_file(upstream.folder / "config.json")));
}

TEST(SaveSpeculator, WritesTheConfigOfUpstreamByteForByteForDFlash) {
  const testing::TemporaryFolder folder;
  const Speculator upstream = load_speculator(kGolden / "dflash_causal_sliding_and_full");
  const DFlashConfig config = parse_dflash_config(upstream.config, upstream.layer_config, "golden");
  const TensorFile weights = TensorFile::open_folder(upstream.folder);
  const NamedTensors tensors(weights.tensors().begin(), weights.tensors().end());
  save_speculator(folder.path() / "out", complete_speculator(upstream, to_json(config)), tensors);
  EXPECT_EQ(read_file(folder.path() / "out" / "config.json"),
            without_auto_map(read_file(upstream.folder / "config.json")));
}

TEST(SaveSpeculator, EscapesWhatIsNotAscii) {
  const testing::TemporaryFolder folder;
  Speculator speculator = tiny_eagle3();
  speculator.config["speculators_config"]["verifier"]["name_or_path"] = "mod\xc3\xa8le";
  const fs::path out = testing::write_speculator(folder.path(), speculator);
  EXPECT_THAT(read_file(out / "config.json"), HasSubstr("mod\\u00e8le"));
}

TEST(SaveSpeculator, LoadsAgain) {
  const testing::TemporaryFolder folder;
  const Speculator loaded = load_speculator(testing::write_speculator(folder.path(), tiny_eagle3()));
  EXPECT_EQ(loaded.algorithm, "eagle3");
  EXPECT_EQ(loaded.speculative_tokens, 3);
  EXPECT_EQ(loaded.layer_config.num_hidden_layers, 1);
  EXPECT_THAT(loaded.verifier_architectures, ElementsAre("LlamaForCausalLM"));
}

TEST(SaveSpeculator, RefusesIncompleteWeightsAndLeavesNothing) {
  const testing::TemporaryFolder folder;
  const Speculator speculator = tiny_eagle3();
  const WeightTable table = get_draft_algorithm("eagle3").weight_table(speculator, "test");
  const testing::OwnedTensors tensors = testing::random_weights(table, testing::sparse_map(40, 12), 1);
  NamedTensors views = testing::views_of(tensors);
  std::erase_if(views,
                [](const auto& item) { return item.first == "fc.weight" || item.first == "embed_tokens.weight"; });
  views.emplace_back("verifier_norm.weight", tensors.front().second.view());
  EXPECT_THAT([&] { save_speculator(folder.path() / "out", speculator, views); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("fc.weight: missing, expected [16, 48]"),
                                             HasSubstr("embed_tokens.weight: missing, expected [40, 16]"),
                                             HasSubstr("verifier_norm.weight: not a tensor of this speculator"))));
  EXPECT_FALSE(fs::exists(folder.path() / "out"));
}

TEST(CompleteSpeculator, TellsVllmOfAnUnusualNumberOfAuxLayers) {
  Eagle3Config config;
  config.layer = testing::tiny_layers("llama", {"full_attention"});
  config.draft_vocab_size = 40;
  config.aux_layer_ids = {0, 2, 3, 6};
  const Speculator speculator = testing::new_speculator("eagle3", config.layer, to_json(config), 3);
  EXPECT_EQ(speculator.config.at("transformer_layer_config").at("num_aux_hidden_states"), 4);
}

TEST(CompleteSpeculator, RefusesWhatWouldNotLoad) {
  Eagle3Config config;
  config.layer = testing::tiny_layers("llama", {"full_attention"});
  config.draft_vocab_size = 41;
  EXPECT_THAT([&] { testing::new_speculator("eagle3", config.layer, to_json(config), 3); },
              ThrowsMessage<DataError>(HasSubstr("draft_vocab_size: expected 1 ... 40")));
}

TEST(FindVerifierFolder, LooksBesideTheSpeculator) {
  const testing::TemporaryFolder folder;
  const Speculator speculator = load_speculator(testing::write_speculator(folder.path(), tiny_eagle3()));
  EXPECT_TRUE(fs::equivalent(find_verifier_folder(speculator), folder.path() / "verifier"));
}

TEST(FindVerifierFolder, NamesBothPlacesItTried) {
  const testing::TemporaryFolder folder;
  Speculator speculator = load_speculator(testing::write_speculator(folder.path(), tiny_eagle3()));
  speculator.verifier_name_or_path = "nowhere";
  EXPECT_THAT([&] { find_verifier_folder(speculator); },
              ThrowsMessage<DataError>(HasSubstr("neither nowhere nor " + (speculator.folder / "nowhere").string())));
}

TEST(FindVerifierFolder, SaysWhenNoVerifierIsBound) {
  Speculator speculator = tiny_eagle3();
  speculator.verifier_name_or_path = "";
  EXPECT_THAT([&] { find_verifier_folder(speculator); }, ThrowsMessage<DataError>(HasSubstr("bound to no verifier")));
}

struct Damage {
  const char* name;
  std::function<void(Json&)> apply;
  const char* message;
};

class DamagedConfig : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedConfig, IsNamed) {
  Json config = tiny_eagle3().config;
  GetParam().apply(config);
  EXPECT_THAT([&] { parse_speculator(config, "config.json"); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("config.json"), HasSubstr(GetParam().message))));
}

Json& speculators_config(Json& config) { return config["speculators_config"]; }

INSTANTIATE_TEST_SUITE_P(
    Each, DamagedConfig,
    ::testing::Values(
        Damage{"NoType", [](Json& c) { c.erase("speculators_model_type"); },
               "speculators_model_type: expected a string"},
        Damage{"UnknownType", [](Json& c) { c["speculators_model_type"] = "medusa"; },
               "speculators_model_type: expected one of eagle3, peagle, dflash"},
        Damage{"TopLevelModelType", [](Json& c) { c["model_type"] = "llama"; }, "model_type: expected no such key"},
        Damage{"NoSpeculatorsConfig", [](Json& c) { c["speculators_config"] = nullptr; }, "expected an object"},
        Damage{"OtherAlgorithm", [](Json& c) { speculators_config(c)["algorithm"] = "dflash"; },
               "algorithm: expected \"eagle3\""},
        Damage{"NoMethods", [](Json& c) { speculators_config(c)["proposal_methods"] = Json::array(); },
               "proposal_methods: expected a list of at least one method"},
        Damage{"OtherDefaultMethod", [](Json& c) { speculators_config(c)["default_proposal_method"] = "tree"; },
               "default_proposal_method: expected the proposal_type of one of proposal_methods, found \"tree\""},
        Damage{"NoTokens", [](Json& c) { speculators_config(c)["proposal_methods"][0]["speculative_tokens"] = 0; },
               "speculative_tokens: expected at least 1, found 0"},
        Damage{"NoVerifier", [](Json& c) { speculators_config(c).erase("verifier"); }, "verifier: expected an object"},
        Damage{"NoLayers", [](Json& c) { c.erase("transformer_layer_config"); },
               "transformer_layer_config: expected an object"},
        Damage{"BothNorms", [](Json& c) { c["fc_norm"] = c["norm_before_fc"] = true; },
               "at most one of norm_before_fc and fc_norm"}),
    [](const auto& info) { return info.param.name; });

TEST(ParseSpeculator, KeepsUnknownKeys) {
  Json config = tiny_eagle3().config;
  config["later_addition"] = 1;
  EXPECT_EQ(parse_speculator(config, "config.json").config.at("later_addition"), 1);
}

TEST(ParseSpeculator, AllowsASpeculatorWithoutVerifier) {
  Json config = tiny_eagle3().config;
  speculators_config(config)["verifier"]["name_or_path"] = nullptr;
  EXPECT_EQ(parse_speculator(config, "config.json").verifier_name_or_path, "");
}

}  // namespace
}  // namespace speculators
