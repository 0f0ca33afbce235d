#include "draft/doctor/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "draft/dflash/config.h"
#include "draft/eagle3/config.h"
#include "draft/peagle/config.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Sound speculators, and what becomes of them when config.json or the tensors are changed behind our back.
class Doctor : public ::testing::Test {
 protected:
  fs::path write(const std::string& algorithm) {
    folder_.emplace();
    if (algorithm == "dflash") return write_dflash();
    PEagleConfig config;
    config.layer = testing::tiny_layers("llama", {"full_attention"});
    config.draft_vocab_size = 20;
    config.aux_layer_ids = {1, 3, 4};
    config.mask_token_id = 3;
    const Json fields = algorithm == "peagle" ? to_json(config) : chain_fields(config);
    return testing::write_speculator(folder_->path(), testing::new_speculator(algorithm, config.layer, fields, 3));
  }

  fs::path write_dflash() {
    DFlashConfig config;
    config.layer = testing::tiny_layers("qwen3", {"full_attention", "full_attention"});
    config.draft_vocab_size = config.layer.vocab_size;
    config.block_size = 4;
    config.aux_layer_ids = {1, 3, 4};
    config.mask_token_id = 3;
    return testing::write_speculator(folder_->path(),
                                     testing::new_speculator("dflash", config.layer, to_json(config), 3));
  }

  std::vector<std::string> faults(const fs::path& speculator) {
    std::vector<std::string> texts;
    for (const Finding& finding : diagnose(speculator).findings) {
      if (finding.severity == Finding::Severity::kFault) texts.push_back(finding.text);
    }
    return texts;
  }

  std::vector<std::string> faults_of_config(const std::string& algorithm, const std::function<void(Json&)>& change) {
    const fs::path speculator = write(algorithm);
    Json config = read_json(speculator / "config.json");
    change(config);
    write_json(speculator / "config.json", config);
    return faults(speculator);
  }

  std::vector<std::string> faults_of_tensors(const std::string& algorithm,
                                             const std::function<void(testing::OwnedTensors&)>& change) {
    const fs::path speculator = write(algorithm);
    testing::OwnedTensors tensors;
    {
      const TensorFile file = TensorFile::open_folder(speculator);
      for (const auto& [name, view] : file.tensors()) {
        tensors.emplace_back(name, Tensor{view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
      }
    }
    change(tensors);
    write_safetensors(speculator / "model.safetensors", testing::views_of(tensors));
    return faults(speculator);
  }

  std::optional<testing::TemporaryFolder> folder_;
};

Tensor& find(testing::OwnedTensors& tensors, const std::string& name) {
  for (auto& [known, tensor] : tensors) {
    if (known == name) return tensor;
  }
  throw std::out_of_range(name);
}

TEST_F(Doctor, FindsNothingInASoundSpeculator) {
  for (const char* algorithm : {"eagle3", "peagle", "dflash"}) {
    const Diagnosis diagnosis = diagnose(write(algorithm));
    EXPECT_THAT(diagnosis.findings, IsEmpty()) << algorithm << ": " << diagnosis.findings.front().text;
    EXPECT_EQ(diagnosis.algorithm, algorithm);
    EXPECT_THAT(diagnosis.needs, Contains(HasSubstr("vLLM")));
  }
}

// The rows of the table that vLLM loads silently, or stops at without a reason.
TEST_F(Doctor, NamesAMissingTensor) {
  for (const auto& [algorithm, name] :
       {std::pair("eagle3", "fc.weight"), std::pair("eagle3", "layers.0.self_attn.q_proj.weight"),
        std::pair("eagle3", "lm_head.weight"), std::pair("dflash", "layers.1.self_attn.q_norm.weight"),
        std::pair("peagle", "mask_hidden")}) {
    const auto found = faults_of_tensors(algorithm, [&](testing::OwnedTensors& tensors) {
      ASSERT_GT(std::erase_if(tensors, [&](const auto& item) { return item.first == name; }), 0u) << name;
    });
    EXPECT_THAT(found, Contains(HasSubstr(std::string(name) + ": missing")));
  }
}

TEST_F(Doctor, NamesAnUnknownTensor) {
  for (const char* name : {"verifier_lm_head.weight", "model.fc.weight", "mask_hidden"}) {
    const auto found = faults_of_tensors(
        "dflash", [&](testing::OwnedTensors& tensors) { tensors.emplace_back(name, find(tensors, "fc.weight")); });
    EXPECT_THAT(found, Contains(HasSubstr(std::string(name) + ": not a tensor of this speculator")));
  }
}

TEST_F(Doctor, NamesValuesThatNobodyFilled) {
  const auto zeros = faults_of_tensors("eagle3", [](testing::OwnedTensors& tensors) {
    std::ranges::fill(find(tensors, "norm.weight").bytes, std::byte{0});
  });
  EXPECT_THAT(zeros, Contains(HasSubstr("norm.weight: every value is 0")));
  const auto nans = faults_of_tensors("eagle3", [](testing::OwnedTensors& tensors) {
    std::ranges::fill(find(tensors, "fc.weight").bytes, std::byte{0xff});
  });
  EXPECT_THAT(nans, Contains(HasSubstr("fc.weight: expected finite numbers, found")));
}

TEST_F(Doctor, NamesAuxLayersThatVllmWouldPermuteOrMiss) {
  const auto with_ids = [&](const Json& ids) {
    return faults_of_config("dflash", [&](Json& config) { config["aux_hidden_state_layer_ids"] = ids; });
  };
  EXPECT_THAT(with_ids({4, 1, 3}), Contains(HasSubstr("expected ascending, distinct layer ids")));
  EXPECT_THAT(with_ids({1, 1, 3}), Contains(HasSubstr("expected ascending, distinct layer ids")));
  EXPECT_THAT(with_ids({1, 3, 9}), Contains(HasSubstr("expected ascending, distinct layer ids from 0 to 6")));
  EXPECT_THAT(with_ids({1, 3}), Contains(HasSubstr("fc.weight: expected [16, 32], found [16, 48]")));
}

TEST_F(Doctor, NamesKeysThatVllmStopsAt) {
  EXPECT_THAT(faults_of_config("eagle3", [](Json& config) { config["model_type"] = "llama"; }),
              Contains(HasSubstr("model_type: expected no such key at the top level")));
  EXPECT_THAT(
      faults_of_config("eagle3", [](Json& config) { config["transformer_layer_config"].erase("rms_norm_eps"); }),
      Contains(HasSubstr("expected rms_norm_eps, found none")));
  EXPECT_THAT(faults_of_config("dflash", [](Json& config) { config.erase("mask_token_id"); }),
              Contains(HasSubstr("mask_token_id")));
  EXPECT_THAT(faults_of_config("eagle3",
                               [](Json& config) { config["speculators_config"]["proposal_methods"] = Json::array(); }),
              Contains(HasSubstr("proposal_methods: expected a list of at least one method")));
  EXPECT_THAT(faults_of_config(
                  "eagle3", [](Json& config) { config["speculators_config"]["verifier"]["name_or_path"] = nullptr; }),
              Contains(HasSubstr("this speculator is bound to no verifier")));
}

TEST_F(Doctor, NamesADraftThatVllmWouldRunCausally) {
  EXPECT_THAT(faults_of_config("dflash", [](Json& config) { config["sliding_window_non_causal"] = false; }),
              Contains(HasSubstr("vLLM then attends causally inside the block")));
}

TEST_F(Doctor, NamesMoreTokensThanABlockPredicts) {
  EXPECT_THAT(faults_of_config(
                  "dflash",
                  [](Json& config) { config["speculators_config"]["proposal_methods"][0]["speculative_tokens"] = 4; }),
              Contains(HasSubstr("speculative_tokens: expected at most 3")));
}

TEST_F(Doctor, NamesWhatVllmDoesNotHandToAPeagleDraft) {
  const auto found = faults_of_config("peagle", [](Json& config) { config["norm_output"] = true; });
  EXPECT_THAT(found, Contains(HasSubstr("norm_output: expected false")));
}

TEST_F(Doctor, NamesAStrayFileOfWeights) {
  const fs::path speculator = write("eagle3");
  fs::copy_file(speculator / "model.safetensors", speculator / "old.safetensors");
  EXPECT_THAT(faults(speculator), Contains(HasSubstr("found old.safetensors, which vLLM loads as well")));
}

TEST_F(Doctor, NamesAForeignVerifier) {
  const fs::path speculator = write("eagle3");
  ModelConfig other = testing::tiny_config();
  other.hidden_size = 32;
  fs::remove_all(folder_->path() / "verifier");
  testing::write_tiny_verifier(folder_->path() / "verifier", other);
  EXPECT_THAT(faults(speculator), Contains(HasSubstr("is this the speculator's verifier?")));
}

TEST_F(Doctor, AdvisesWhereReadersDiffer) {
  const fs::path speculator = write("eagle3");
  Json config = read_json(speculator / "config.json");
  config.erase("norm_before_residual");
  write_json(speculator / "config.json", config);
  const Diagnosis diagnosis = diagnose(speculator);
  ASSERT_EQ(diagnosis.findings.size(), 1u);
  EXPECT_THAT(diagnosis.findings.front().text, HasSubstr("norm_before_residual written out"));
  EXPECT_FALSE(diagnosis.has_faults());
}

TEST_F(Doctor, AFolderWithoutAConfigIsAFinding) {
  folder_.emplace();
  EXPECT_THAT(faults(folder_->path()), Not(IsEmpty()));
}

}  // namespace
}  // namespace speculators
