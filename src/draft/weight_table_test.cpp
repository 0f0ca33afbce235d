// The tables against what upstream really wrote, and the loader's one message about everything that is wrong.
#include "draft/weight_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/errors.h"
#include "draft/dflash/config.h"
#include "draft/eagle3/config.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAreArray;

const fs::path kGolden = fs::path(SPECULATORS_SOURCE_DIR) / "tests" / "golden" / "draft";

class UpstreamFile : public ::testing::TestWithParam<const char*> {
 protected:
  Speculator speculator_ = load_speculator(kGolden / GetParam());
  WeightTable table_ = get_draft_algorithm(speculator_.algorithm).weight_table(speculator_, "golden");
  TensorFile file_ = TensorFile::open_folder(speculator_.folder);
};

TEST_P(UpstreamFile, HasTheTensorsThatWeWouldSave) {
  std::vector<std::string> ours, theirs;
  for (const WeightSpec& spec : table_) {
    if (spec.required != WeightPresence::kNever) ours.push_back(spec.name);
  }
  for (const auto& [name, tensor] : file_.tensors()) theirs.push_back(name);
  EXPECT_THAT(ours, UnorderedElementsAreArray(theirs));
}

TEST_P(UpstreamFile, PassesTheLoader) { EXPECT_NO_THROW(check_loaded_tensors(table_, file_)); }

INSTANTIATE_TEST_SUITE_P(Each, UpstreamFile,
                         ::testing::Values("eagle3_llama", "eagle3_qwen3_two_layers",
                                           "eagle3_llama_bias_full_vocabulary", "peagle_llama",
                                           "peagle_qwen3_two_layers", "dflash_causal_sliding_and_full",
                                           "dflash_anchor_bidirectional_sliding", "dflash_full_vocabulary",
                                           "dflash2_sliding_and_full", "dflash2_anchor_causal_three_taps"),
                         [](const auto& info) { return std::string(info.param); });

// A saved EAGLE-3 or DFlash speculator whose tensors can be changed behind the writer's back.
class DamagedWeights : public ::testing::Test {
 protected:
  void write(const Speculator& speculator) {
    speculator_ = testing::write_speculator(folder_.path(), speculator);
    const WeightTable table = get_draft_algorithm(speculator.algorithm).weight_table(speculator, "test");
    for (auto& [name, tensor] : testing::random_weights(table, testing::sparse_map(40, 12), 1)) {
      tensors_.emplace(name, std::move(tensor));
    }
  }
  void write_eagle3() {
    Eagle3Config config;
    config.layer = testing::tiny_layers("llama", {"full_attention"});
    config.draft_vocab_size = 12;
    config.aux_layer_ids = {0, 2, 6};
    write(testing::new_speculator("eagle3", config.layer, to_json(config), 3));
  }
  void expect_refused(const ::testing::Matcher<std::string>& message) {
    NamedTensors views;
    for (const auto& [name, tensor] : tensors_) views.emplace_back(name, tensor.view());
    write_safetensors(speculator_ / "model.safetensors", views);
    EXPECT_THAT([&] { load_proposer(speculator_); }, ThrowsMessage<DataError>(message));
  }
  testing::TemporaryFolder folder_;
  fs::path speculator_;
  std::map<std::string, Tensor> tensors_;
};

TEST_F(DamagedWeights, AreListedAtOnce) {
  write_eagle3();
  tensors_.erase("layers.0.self_attn.q_proj.weight");
  tensors_["fc.weight"] = make_tensor({16, 32}, std::vector<float>(16 * 32));
  tensors_["d2t"] = make_tensor({12}, std::vector<float>(12));
  tensors_["mask_hidden"] = make_tensor({1}, std::vector<float>{1});
  expect_refused(AllOf(HasSubstr("4 tensors are not as config.json says"),
                       HasSubstr("layers.0.self_attn.q_proj.weight: missing, expected [32, 32]"),
                       HasSubstr("fc.weight: expected [16, 48], found [16, 32]"),
                       HasSubstr("d2t: expected I64, found F32"),
                       HasSubstr("mask_hidden: not a tensor of this speculator")));
}

TEST_F(DamagedWeights, NeverFilledIsNamed) {
  write_eagle3();
  std::vector<float> norm(16, 1);
  norm[5] = std::numeric_limits<float>::quiet_NaN();
  tensors_["norm.weight"] = make_tensor({16}, norm);
  expect_refused(HasSubstr("norm.weight: element 5: expected a finite number"));
}

TEST_F(DamagedWeights, NeverFilledMatrixIsNamed) {
  write_eagle3();
  tensors_["fc.weight"] = make_tensor({16, 48}, std::vector<float>(16 * 48, std::numeric_limits<float>::quiet_NaN()));
  expect_refused(HasSubstr("fc.weight: element 0: expected a finite number"));
}

TEST_F(DamagedWeights, IdsInPlaceOfOffsetsAreNamed) {
  write_eagle3();
  std::vector<int64_t> ids;
  for (int32_t id : testing::sparse_map(40, 12).draft_to_verifier()) ids.push_back(id);
  tensors_["d2t"] = make_tensor({12}, ids);
  expect_refused(HasSubstr("d2t[1]: expected an offset"));
}

TEST_F(DamagedWeights, WithoutT2dStillLoad) {
  write_eagle3();
  tensors_.erase("t2d");
  NamedTensors views;
  for (const auto& [name, tensor] : tensors_) views.emplace_back(name, tensor.view());
  write_safetensors(speculator_ / "model.safetensors", views);
  EXPECT_NO_THROW(load_proposer(speculator_));
}

TEST_F(DamagedWeights, OldCompleteDFlashFilesStillLoad) {
  DFlashConfig config;
  config.layer = testing::tiny_layers("qwen3", {"full_attention"});
  config.draft_vocab_size = 40;
  config.aux_layer_ids = {0, 2, 6};
  write(testing::new_speculator("dflash", config.layer, to_json(config), 7));
  for (const char* name : {"embed_tokens.weight", "lm_head.weight"}) {
    tensors_[name] = make_tensor({40, 16}, std::vector<float>(40 * 16, 1));
  }
  NamedTensors views;
  for (const auto& [name, tensor] : tensors_) views.emplace_back(name, tensor.view());
  write_safetensors(speculator_ / "model.safetensors", views);
  EXPECT_NO_THROW(load_proposer(speculator_));
}

}  // namespace
}  // namespace speculators
