#include "draft/mtp/native_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "draft/mtp/weights.h"
#include "draft/speculator_for_test.h"

namespace speculators {
namespace {

using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::ThrowsMessage;

class NativeWeights : public ::testing::Test {
 protected:
  TensorFile write(const std::vector<std::string>& names) {
    testing::OwnedTensors tensors;
    const std::vector<float> values(4, 1.0f);
    for (const std::string& name : names) tensors.emplace_back(name, make_tensor({2, 2}, std::span(values)));
    write_safetensors(folder_.path() / "model.safetensors", testing::views_of(tensors));
    return TensorFile::open_folder(folder_.path());
  }
  static std::vector<std::string> names_of(const NamedTensors& tensors) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    return names;
  }
  testing::TemporaryFolder folder_;
};

constexpr int64_t kNumLayers = 6;

TEST(MtpNames, EveryTensorOfTheTableComesBackFromBothNamings) {
  const MtpConfig config{testing::tiny_layers("qwen3", std::vector<std::string>(6, "full_attention"))};
  for (const MtpNaming naming : {MtpNaming::kQwen, MtpNaming::kDeepSeek}) {
    for (const WeightSpec& spec : mtp_weights(config)) {
      if (spec.required == WeightPresence::kNever) continue;
      const auto native = native_name(spec.name, naming, kNumLayers);
      ASSERT_TRUE(native.has_value()) << spec.name;
      EXPECT_THAT(speculator_name(*native, naming, kNumLayers), Optional(Eq(spec.name)));
    }
  }
}

TEST(MtpNames, AreTheFamilies) {
  const auto qwen = [](const char* name) { return native_name(name, MtpNaming::kQwen, kNumLayers).value_or("none"); };
  EXPECT_EQ(qwen("mtp_layers.0.input_proj.weight"), "mtp.fc.weight");
  EXPECT_EQ(qwen("mtp_layers.0.final_layernorm.weight"), "mtp.norm.weight");
  EXPECT_EQ(qwen("mtp_layers.0.hidden_layernorm.weight"), "mtp.pre_fc_norm_hidden.weight");
  EXPECT_EQ(qwen("mtp_layers.0.token_layernorm.weight"), "mtp.pre_fc_norm_embedding.weight");
  EXPECT_EQ(qwen("mtp_layers.0.self_attn.q_proj.weight"), "mtp.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(qwen("embed_tokens.weight"), "none");
  EXPECT_EQ(native_name("mtp_layers.0.input_proj.weight", MtpNaming::kDeepSeek, kNumLayers),
            "model.layers.6.eh_proj.weight");
}

TEST_F(NativeWeights, OfAVerifierWithoutTheLayerAreNone) {
  EXPECT_THAT(find_native_weights(write({"model.layers.6.mlp.up_proj.weight", "model.norm.weight"}), kNumLayers),
              IsEmpty());
}

TEST_F(NativeWeights, AreFoundUnderQwensNames) {
  const TensorFile file = write({"model.norm.weight", "mtp.fc.weight", "mtp.layers.0.mlp.up_proj.weight"});
  EXPECT_THAT(names_of(find_native_weights(file, kNumLayers)),
              ::testing::ElementsAre("mtp_layers.0.input_proj.weight", "mtp_layers.0.mlp.up_proj.weight"));
}

TEST_F(NativeWeights, AreFoundUnderDeepSeeksNamesWithoutItsCopies) {
  const TensorFile file = write({"model.layers.6.eh_proj.weight", "model.layers.6.embed_tokens.weight",
                                 "model.layers.6.shared_head.head.weight", "model.layers.6.shared_head.norm.weight"});
  EXPECT_THAT(names_of(find_native_weights(file, kNumLayers)),
              ::testing::ElementsAre("mtp_layers.0.input_proj.weight", "mtp_layers.0.final_layernorm.weight"));
}

TEST_F(NativeWeights, RefuseExpertsByName) {
  const TensorFile file = write({"mtp.layers.0.mlp.experts.3.up_proj.weight"});
  EXPECT_THAT([&] { find_native_weights(file, kNumLayers); },
              ThrowsMessage<DataError>(HasSubstr("mtp.layers.0.mlp.experts.3.up_proj.weight: expected an MTP layer")));
}

}  // namespace
}  // namespace speculators
