#include "nn/label_losses.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/errors.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using testing_tensors::expect_close;
using testing_tensors::gradients;
using testing_tensors::leaf;
using testing_tensors::noise;

constexpr int64_t kRows = 150, kWidth = 12, kVocab = 33;

std::vector<int64_t> some_labels() {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < kRows; ++i) labels.push_back(i * 7 % kVocab);
  return labels;
}

TEST(LabelLosses, AreNegativeLogProbabilities) {
  const auto states = torch::tensor({{1.0f, 0.0f}}), head = torch::tensor({{0.0f, 5.0f}, {std::log(3.0f), 0.0f}});
  EXPECT_NEAR(label_losses(states, {0}, head).value.item<float>(), std::log(4.0f), 1e-6);  // logits 0, log 3
  EXPECT_NEAR(label_losses(states, {1}, head).value.item<float>(), std::log(4.0f / 3), 1e-6);
}

// Chunks of 64 rows: two whole ones and a rest.
TEST(LabelLosses, ChunksEqualPlain) {
  const auto head = noise({kVocab, kWidth}, 2);
  const auto states = leaf({kRows, kWidth}, 1);
  const auto fused = label_losses(states, some_labels(), head, {.chunk_bytes = 1});
  const auto plain = label_losses_plain(states, some_labels(), head);
  expect_close(fused.value, plain.value, 1e-6, "value");
  EXPECT_EQ(fused.match, plain.match);
  const auto expected = gradients(plain.value, {states})[0];
  expect_close(gradients(fused.value, {states})[0], expected, 1e-5, "gradient");
}

TEST(LabelLosses, WithoutAGradientThereIsNoGraph) {
  const auto losses = label_losses(noise({2, kWidth}, 1), {0, 1}, noise({kVocab, kWidth}, 2));
  EXPECT_FALSE(losses.value.requires_grad());
}

TEST(LabelLosses, NoRowsGiveNoLosses) {
  EXPECT_EQ(label_losses(noise({0, kWidth}, 1), {}, noise({kVocab, kWidth}, 2)).value.numel(), 0);
}

TEST(LabelLosses, ALabelOutsideTheVocabularyIsAShapeError) {
  EXPECT_THROW(label_losses(noise({1, kWidth}, 1), {kVocab}, noise({kVocab, kWidth}, 2)), ShapeError);
  EXPECT_THROW(label_losses_plain(noise({1, kWidth}, 1), {-1}, noise({kVocab, kWidth}, 2)), ShapeError);
}

TEST(LabelLosses, StatesOfAnotherWidthAreAShapeError) {
  EXPECT_THROW(label_losses(noise({1, kWidth + 1}, 1), {0}, noise({kVocab, kWidth}, 2)), ShapeError);
}

}  // namespace
}  // namespace speculators::nn
