#include "draft/mtp/stitch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/mtp/config.h"
#include "draft/mtp/native_weights.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t kNumLayers = 6;

// A speculator, and a verifier of two shards whose second holds an MTP layer of zeros.
class Stitch : public ::testing::Test {
 protected:
  Stitch() : verifier_(folder_.path() / "verifier"), output_(folder_.path() / "stitched") {
    MtpConfig config;
    config.verifier = testing::tiny_layers("qwen3", std::vector<std::string>(kNumLayers, "full_attention"));
    head_ =
        testing::write_speculator(folder_.path(), testing::new_speculator("mtp", config.verifier, to_json(config), 3));
    fs::rename(verifier_ / "model.safetensors", verifier_ / "model-00001-of-00002.safetensors");
    make_folders(verifier_ / "more");
    write_file(verifier_ / "more" / "notes.txt", "kept");
    const TensorFile head = TensorFile::open_folder(head_);
    for (const auto& [name, tensor] : head.tensors()) {
      const std::vector<float> zeros(tensor.num_elements(), 0.0f);
      native_.emplace_back(*native_name(name, MtpNaming::kQwen, kNumLayers),
                           make_tensor(tensor.shape, std::span(zeros)));
    }
    write_native();
  }

  void write_native() {
    Json map = Json::object();
    const TensorFile first = TensorFile::open(verifier_ / "model-00001-of-00002.safetensors");
    for (const auto& [name, tensor] : first.tensors()) map[name] = "model-00001-of-00002.safetensors";
    for (const auto& [name, tensor] : native_) map[name] = "model-00002-of-00002.safetensors";
    write_json(verifier_ / "model.safetensors.index.json", {{"metadata", Json::object()}, {"weight_map", map}});
    write_safetensors(verifier_ / "model-00002-of-00002.safetensors", testing::views_of(native_));
  }

  void expect_refused(const char* message) {
    EXPECT_THAT([&] { stitch_mtp(head_, verifier_, output_); }, ThrowsMessage<DataError>(HasSubstr(message)));
    EXPECT_FALSE(fs::exists(output_));
  }

  testing::TemporaryFolder folder_;
  fs::path verifier_, output_, head_;
  testing::OwnedTensors native_;
};

TEST_F(Stitch, GivesTheVerifierTheTrainedTensors) {
  const StitchReport report = stitch_mtp(head_, verifier_, output_);
  EXPECT_EQ(report.num_tensors, 15);
  EXPECT_EQ(report.num_shards, 1);
  const TensorFile stitched = TensorFile::open_folder(output_), head = TensorFile::open_folder(head_);
  for (const auto& [name, tensor] : find_native_weights(stitched, kNumLayers)) {
    EXPECT_EQ(to_floats(tensor, name), to_floats(head.get(name), name)) << name;
  }
}

TEST_F(Stitch, CopiesEverythingElse) {
  stitch_mtp(head_, verifier_, output_);
  for (const char* name : {"config.json", "model-00001-of-00002.safetensors", "more/notes.txt"}) {
    EXPECT_EQ(read_file(output_ / name), read_file(verifier_ / name)) << name;
  }
}

TEST_F(Stitch, ReplacesWhatItWroteBefore) {
  stitch_mtp(head_, verifier_, output_);
  write_file(output_ / "stale.txt", "");
  stitch_mtp(head_, verifier_, output_);
  EXPECT_FALSE(fs::exists(output_ / "stale.txt"));
}

TEST_F(Stitch, NamesATensorThatTheVerifierLacks) {
  std::erase_if(native_, [](const auto& entry) { return entry.first == "mtp.fc.weight"; });
  write_native();
  expect_refused("mtp.fc.weight: missing");
}

TEST_F(Stitch, NamesATensorOfAnotherShape) {
  for (auto& [name, tensor] : native_) {
    if (name == "mtp.norm.weight") tensor = make_tensor({3}, std::span<const float>(std::vector<float>(3, 0.0f)));
  }
  write_native();
  expect_refused("mtp.norm.weight: expected [16] as the head has it, found [3]");
}

TEST_F(Stitch, NamesATensorThatTheHeadLacks) {
  native_.emplace_back("mtp.layers.0.self_attn.q_proj.bias",
                       make_tensor({2}, std::span<const float>(std::vector<float>(2, 0.0f))));
  write_native();
  expect_refused("mtp.layers.0.self_attn.q_proj.bias: not a tensor of the head");
}

TEST_F(Stitch, RefusesAVerifierWithoutAnMtpLayer) {
  native_.clear();
  native_.emplace_back("extra", make_tensor({1}, std::span<const float>(std::vector<float>(1, 0.0f))));
  write_native();
  expect_refused("expected an MTP layer (mtp.*), found none");
}

TEST_F(Stitch, RefusesToWriteOverItsInputs) {
  for (const fs::path& output : {verifier_, head_, verifier_ / "inside", folder_.path()}) {
    EXPECT_THAT([&] { stitch_mtp(head_, verifier_, output); },
                ThrowsMessage<UsageError>(HasSubstr("expected a folder apart from")));
  }
}

TEST_F(Stitch, RefusesToReplaceWhatIsNoModel) {
  make_folders(output_);
  write_file(output_ / "thesis.txt", "precious");
  EXPECT_THAT([&] { stitch_mtp(head_, verifier_, output_); },
              ThrowsMessage<UsageError>(HasSubstr("expected a new folder or an earlier model")));
  EXPECT_EQ(read_file(output_ / "thesis.txt"), "precious");
}

TEST_F(Stitch, RefusesADamagedHeadAndLeavesNothing) {
  fs::resize_file(head_ / "model.safetensors", 100);
  expect_refused("model.safetensors");
}

}  // namespace
}  // namespace speculators
