#include "draft/convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/errors.h"
#include "checkpoint/safetensors.h"
#include "draft/speculator.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Sources and upstream's conversions of them, by tools/make_convert_goldens.py.
const fs::path kGoldens = fs::path(SPECULATORS_SOURCE_DIR) / "tests" / "golden" / "convert";

struct Case {
  std::string name, algorithm;
  Json overrides;
};
const std::vector<Case> kCases = {
    {"eagle3_pickled", "eagle3", nullptr},
    {"eagle3_own_embedding",
     "eagle3",
     {{"norm_before_residual", true}, {"eagle_aux_hidden_state_layer_ids", {1, 3, 4}}}},
    {"dflash", "dflash", nullptr},
    {"dflash_fused", "dflash", nullptr},
};

class Convert : public ::testing::Test {
 protected:
  ConvertNotes convert(const fs::path& source, const std::string& algorithm, const Json& overrides = nullptr) {
    return convert_to_speculator({source, (kGoldens / "verifier").string(), algorithm, overrides}, output());
  }
  fs::path output() const { return folder_.path() / "converted"; }

  // A copy of a source whose config and tensors the test may spoil.
  fs::path write_source(const std::string& name, const std::function<void(Json&, NamedTensors&)>& change) {
    const fs::path golden = kGoldens / name / "source", folder = folder_.path() / "source";
    Json config = read_json(golden / "config.json");
    const TensorFile file = TensorFile::open_folder(golden);
    NamedTensors tensors(file.tensors().begin(), file.tensors().end());
    change(config, tensors);
    write_folder(folder, [&](const fs::path& temporary) {
      write_json(temporary / "config.json", config);
      write_safetensors(temporary / "model.safetensors", tensors);
    });
    return folder;
  }

  testing::TemporaryFolder folder_;
};

void expect_equal(const TensorView& found, const TensorView& expected, const std::string& name) {
  EXPECT_EQ(found.dtype, expected.dtype) << name;
  EXPECT_EQ(found.shape, expected.shape) << name;
  EXPECT_TRUE(std::ranges::equal(found.bytes, expected.bytes)) << name;
}

// Every key of `expected` but those that name a class, a place or a default that both read alike.
void expect_equal_configs(const Json& found, const Json& expected) {
  for (const auto& [key, value] : expected.items()) {
    if (key == "architectures" || key == "auto_map" || key == "name_or_path" || key == "tie_word_embeddings") continue;
    if (key == "dtype" && !found.contains(key)) continue;
    ASSERT_TRUE(found.contains(key)) << key;
    if (value.is_object()) {
      expect_equal_configs(found.at(key), value);
    } else if (key == "sliding_window_non_causal") {
      EXPECT_TRUE(found.at(key)) << "a draft without windows is written with true";
    } else if (!value.is_array() || value.empty() || !value.front().is_object()) {
      EXPECT_EQ(found.at(key), value) << key;
    }
  }
}

class ConvertCases : public Convert, public ::testing::WithParamInterface<Case> {};
INSTANTIATE_TEST_SUITE_P(All, ConvertCases, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST_P(ConvertCases, EqualsUpstreamsConverter) {
  const Case& one = GetParam();
  convert(kGoldens / one.name / "source", one.algorithm, one.overrides);
  const fs::path expected = kGoldens / one.name / "expected";
  const TensorFile theirs = TensorFile::open_folder(expected), ours = TensorFile::open_folder(output());
  for (const auto& [name, tensor] : theirs.tensors()) expect_equal(ours.get(name), tensor, name);
  for (const auto& [name, tensor] : ours.tensors()) {
    EXPECT_TRUE(theirs.find(name) != nullptr || name == "embed_tokens.weight") << name;
  }
  expect_equal_configs(read_json(output() / "config.json"), read_json(expected / "config.json"));
}

TEST_P(ConvertCases, GoesBackAndForthUnchanged) {
  const Case& one = GetParam();
  convert(kGoldens / one.name / "source", one.algorithm, one.overrides);
  const fs::path first = folder_.path() / "first", back = folder_.path() / "back";
  fs::rename(output(), first);
  convert_from_speculator(first, back);
  EXPECT_EQ(find_foreign_algorithm(back), one.algorithm);
  EXPECT_EQ(find_foreign_algorithm(first), "");
  convert(back, one.algorithm, one.overrides);
  const TensorFile before = TensorFile::open_folder(first), after = TensorFile::open_folder(output());
  EXPECT_EQ(before.tensors().size(), after.tensors().size());
  for (const auto& [name, tensor] : before.tensors()) expect_equal(after.get(name), tensor, name);
  EXPECT_EQ(read_json(output() / "config.json"), read_json(first / "config.json"));
}

TEST_F(Convert, ADraftWithoutAnEmbeddingGetsTheVerifiers) {
  const ConvertNotes notes = convert(kGoldens / "eagle3_pickled" / "source", "eagle3");
  EXPECT_THAT(notes, ElementsAre("embed_tokens.weight: taken from the verifier"));
  expect_equal(TensorFile::open_folder(output()).get("embed_tokens.weight"),
               TensorFile::open_folder(kGoldens / "verifier").get("model.embed_tokens.weight"), "embedding");
}

TEST_F(Convert, IdsInD2tBecomeOffsetsAndT2dIsMade) {
  std::vector<int64_t> ids;
  Tensor tensor;
  const fs::path source = write_source("eagle3_own_embedding", [&](Json&, NamedTensors& tensors) {
    for (auto& [name, view] : tensors) {
      if (name != "d2t") continue;
      ids = to_ints(view, name);
      for (size_t k = 0; k < ids.size(); ++k) ids[k] += static_cast<int64_t>(k);
      tensor = make_tensor(view.shape, std::span<const int64_t>(ids));
      view = tensor.view();
    }
    std::erase_if(tensors, [](const auto& item) { return item.first == "t2d"; });
  });
  const ConvertNotes notes = convert(source, "eagle3");
  EXPECT_THAT(notes, AllOf(Contains("d2t: held ids, written as offsets"), Contains("t2d: made from d2t")));
  const TensorFile expected = TensorFile::open_folder(kGoldens / "eagle3_own_embedding" / "expected");
  for (const char* name : {"d2t", "t2d"}) {
    expect_equal(TensorFile::open_folder(output()).get(name), expected.get(name), name);
  }
}

TEST_F(Convert, NamesEveryTensorThatDoesNotFit) {
  const fs::path source = write_source("dflash", [](Json&, NamedTensors& tensors) {
    std::erase_if(tensors, [](const auto& item) { return item.first == "norm.weight"; });
    tensors.emplace_back("layers.7.extra", tensors.front().second);
  });
  EXPECT_THAT([&] { convert(source, "dflash"); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("norm.weight: missing"),
                                             HasSubstr("layers.7.extra: not a tensor of this speculator"))));
  EXPECT_FALSE(fs::exists(output()));
}

TEST_F(Convert, RefusesWhatItCannotKnow) {
  const auto refuses = [&](const fs::path& source, const std::string& algorithm, const std::string& message) {
    EXPECT_THAT([&] { convert(source, algorithm); }, ThrowsMessage<DataError>(HasSubstr(message)));
  };
  refuses(write_source("dflash", [](Json& config, NamedTensors&) { config.erase("block_size"); }), "dflash",
          "expected block_size, at the top level or in dflash_config");
  refuses(write_source("dflash", [](Json& config, NamedTensors&) { config["hidden_size"] = 32; }), "dflash",
          "hidden_size: expected the verifier's, 16");
  refuses(
      write_source("dflash", [](Json& config, NamedTensors&) { config["dflash_config"].erase("target_layer_ids"); }),
      "dflash", "--algorithm-kwargs '{\"aux_hidden_state_layer_ids\": [...]}'");
  refuses(write_source("eagle3_own_embedding",
                       [](Json&, NamedTensors& tensors) {
                         std::erase_if(tensors, [](const auto& item) { return item.first == "d2t"; });
                       }),
          "eagle3", "lm_head has 20 of the verifier's 40 ids and there is no d2t");
  refuses(kGoldens / "dflash" / "expected", "dflash", "found a speculator already (speculators_model_type \"dflash\")");
}

TEST_F(Convert, RefusesUnknownNames) {
  EXPECT_THAT([&] { convert(kGoldens / "dflash" / "source", "medusa"); },
              ThrowsMessage<UsageError>(HasSubstr("expected eagle3 or dflash, found \"medusa\"")));
  EXPECT_THAT(
      [&] {
        convert(kGoldens / "dflash" / "source", "dflash", {{"layers", 3}});
      },
      ThrowsMessage<UsageError>(HasSubstr("--algorithm-kwargs: expected aux_hidden_state_layer_ids")));
}

}  // namespace
}  // namespace speculators
