#include "draft/verifier_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "tests/support/tiny_verifier.h"

namespace speculators {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A checkpoint whose tensors of two rows are told apart by their first value.
class VerifierCheckpoint : public ::testing::Test {
 protected:
  void add(const std::string& name, float value, int64_t rows = 2) {
    owned_.emplace_back(name, make_tensor({rows, 1}, std::vector<float>(rows, value)));
  }
  void add_norm(const std::string& name, float value) {
    owned_.emplace_back(name, make_tensor({1}, std::vector<float>{value}));
  }
  TensorFile open() {
    NamedTensors views;
    for (const auto& [name, tensor] : owned_) views.emplace_back(name, tensor.view());
    write_safetensors(folder_.path() / "model.safetensors", views);
    return TensorFile::open_folder(folder_.path());
  }
  static float first(const TensorView& tensor) { return to_floats(tensor, "test").at(0); }

  testing::TemporaryFolder folder_;
  testing::OwnedTensors owned_;
};

TEST_F(VerifierCheckpoint, AreFoundUnderAPrefix) {
  add("model.embed_tokens.weight", 1);
  add("lm_head.weight", 2);
  add_norm("model.norm.weight", 3);
  const TensorFile file = open();
  const VerifierTensorViews found = find_verifier_tensors(file, 2, 1);
  EXPECT_EQ(first(found.embed_tokens), 1);
  EXPECT_EQ(first(found.lm_head), 2);
  EXPECT_EQ(first(*found.final_norm), 3);
}

TEST_F(VerifierCheckpoint, PreferTheShortestName) {
  add("audio_tower.model.embed_tokens.weight", 1);
  add("model.embed_tokens.weight", 2);
  const TensorFile file = open();
  EXPECT_EQ(first(find_verifier_tensors(file, 2, 1).embed_tokens), 2);
}

TEST_F(VerifierCheckpoint, PreferTheExactName) {
  add("a.embed_tokens.weight", 1);
  add("embed_tokens.weight", 2);
  const TensorFile file = open();
  EXPECT_EQ(first(find_verifier_tensors(file, 2, 1).embed_tokens), 2);
}

TEST_F(VerifierCheckpoint, TieTheHeadToTheEmbedding) {
  add("model.embed_tokens.weight", 1);
  const TensorFile file = open();
  EXPECT_EQ(first(find_verifier_tensors(file, 2, 1).lm_head), 1);
}

TEST_F(VerifierCheckpoint, MayLackAFinalNorm) {
  add("model.embed_tokens.weight", 1);
  const TensorFile file = open();
  EXPECT_EQ(find_verifier_tensors(file, 2, 1).final_norm, nullptr);
}

TEST_F(VerifierCheckpoint, KnowOtherFamiliesNames) {
  add("backbone.embeddings.weight", 1);
  add("output.weight", 2);
  add_norm("backbone.norm_f.weight", 3);
  const TensorFile file = open();
  const VerifierTensorViews found = find_verifier_tensors(file, 2, 1);
  EXPECT_THAT((std::vector{first(found.embed_tokens), first(found.lm_head), first(*found.final_norm)}),
              ElementsAre(1, 2, 3));
}

TEST_F(VerifierCheckpoint, NeedAnEmbedding) {
  add("lm_head.weight", 1);
  const TensorFile file = open();
  EXPECT_THAT([&] { find_verifier_tensors(file, 2, 1); },
              ThrowsMessage<DataError>(HasSubstr("expected an embedding (a name that ends with embed_tokens.weight,")));
}

TEST_F(VerifierCheckpoint, MustFitTheDraft) {
  add("model.embed_tokens.weight", 1, 3);
  const TensorFile file = open();
  EXPECT_THAT([&] { find_verifier_tensors(file, 2, 1); },
              ThrowsMessage<DataError>(HasSubstr("embedding: expected [2, 1], found [3, 1]")));
}

}  // namespace
}  // namespace speculators
