#include "verifier/registry.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::OwnedTensors;
using testing::TemporaryFolder;
using ::testing::ThrowsMessage;
using testing::tiny_config;

auto loading(const TemporaryFolder& folder) {
  return [&folder] { load_verifier(folder.path()); };
}

Tensor zeros(std::vector<int64_t> shape, int64_t count) {
  return make_tensor(std::move(shape), std::span<const Bf16>(std::vector<Bf16>(count)));
}

TEST(LoadVerifier, ListsEveryMissingUnexpectedAndMisshapenTensorAtOnce) {
  const TemporaryFolder folder;
  OwnedTensors tensors = testing::tiny_tensors(tiny_config());
  std::erase_if(tensors, [](const auto& item) { return item.first == "model.layers.1.mlp.up_proj.weight"; });
  for (auto& [name, tensor] : tensors) {
    if (name == "model.norm.weight") tensor = zeros({15}, 15);
  }
  tensors.emplace_back("model.layers.3.mlp.up_proj.weight", zeros({2, 2}, 4));
  testing::write_verifier(folder.path(), tiny_config(), tensors);
  EXPECT_THAT(loading(folder),
              ThrowsMessage<DataError>(AllOf(HasSubstr("3 tensors do not fit"),
                                             HasSubstr("model.layers.1.mlp.up_proj.weight: missing, expected [24, 16]"),
                                             HasSubstr("model.norm.weight: expected [16], found [15]"),
                                             HasSubstr("model.layers.3.mlp.up_proj.weight: unexpected, [2, 2]"))));
}

TEST(LoadVerifier, NamesWeightsOfAnotherType) {
  const TemporaryFolder folder;
  OwnedTensors tensors = testing::tiny_tensors(tiny_config());
  for (auto& [name, tensor] : tensors) {
    if (name == "model.norm.weight") tensor = make_tensor({16}, std::span<const int64_t>(std::vector<int64_t>(16)));
  }
  testing::write_verifier(folder.path(), tiny_config(), tensors);
  EXPECT_THAT(loading(folder),
              ThrowsMessage<DataError>(HasSubstr("model.norm.weight: expected BF16, F16 or F32, found I64")));
}

TEST(LoadVerifier, ALongListOfProblemsIsCut) {
  const TemporaryFolder folder;
  ModelConfig config = tiny_config();
  testing::write_verifier(folder.path(), config, {});
  EXPECT_THAT(loading(folder), ThrowsMessage<DataError>(AllOf(HasSubstr("30 tensors"), HasSubstr("and 10 more"))));
}

TEST(LoadVerifier, ListsTheKnownModelTypes) {
  const TemporaryFolder folder;
  ModelConfig config = tiny_config();
  config.model_type = "gpt_bigcode";
  testing::write_verifier(folder.path(), config, {});
  EXPECT_THAT(loading(folder),
              ThrowsMessage<DataError>(HasSubstr("expected one of llama, mistral, qwen2, qwen3, found gpt_bigcode")));
}

TEST(LoadVerifier, RefusesAnActivationItLacks) {
  const TemporaryFolder folder;
  ModelConfig config = tiny_config();
  config.hidden_act = "gelu";
  testing::write_tiny_verifier(folder.path(), config);
  EXPECT_THAT(loading(folder), ThrowsMessage<DataError>(HasSubstr("hidden_act: expected silu, found gelu")));
}

TEST(LoadVerifier, IgnoresACopyOfATiedHead) {
  const TemporaryFolder folder;
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  OwnedTensors tensors = testing::tiny_tensors(config);
  tensors.emplace_back("lm_head.weight", zeros({40, 16}, 640));
  testing::write_verifier(folder.path(), config, tensors);
  EXPECT_NO_THROW(load_verifier(folder.path()));
}

TEST(LoadVerifier, CountsTheBytesOfADecodeStep) {
  const TemporaryFolder folder;
  testing::write_tiny_verifier(folder.path(), tiny_config());
  // Per layer bf16: qkv (32 + 16 + 16) * 16, o 16 * 32, gate and up 2 * 24 * 16, down 16 * 24 = 2,688 weights and two
  // fp32 norms of 16; head 40 * 16 and one norm. Panels may be padded, so this is a lower bound.
  const int64_t exact = 3 * (2688 * 2 + 2 * 16 * 4) + 640 * 2 + 16 * 4;
  const int64_t got = load_verifier(folder.path())->weight_bytes();
  EXPECT_GE(got, exact);
  EXPECT_LE(got, 2 * exact);
}

TEST(VerifierArchitectures, EveryRowLoadsItsModelType) {
  for (const VerifierArchitecture& architecture : verifier_architectures()) {
    const TemporaryFolder folder;
    const ModelConfig config = tiny_config(std::string(architecture.model_type));
    testing::write_tiny_verifier(folder.path(), config);
    EXPECT_EQ(load_verifier(folder.path())->config().model_type, architecture.model_type);
  }
}

}  // namespace
}  // namespace speculators
