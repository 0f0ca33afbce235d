// Every instruction set that this machine runs against the plain twins; wide and odd rows.
#include "nn/kernels/row_kernels.h"

#include <ATen/ops/ones.h>

#include <cmath>

#include "nn/kernels/vector_math.h"
#include "nn/pair_losses.h"
#include "nn/plain_ops.h"
#include "nn/slot_convolution.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

class EveryInstructionSet : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    if (GetParam() >= all_row_kernels().size()) GTEST_SKIP() << "this machine does not run it";
  }
  const RowKernels& kernels() const { return *all_row_kernels()[GetParam()]; }
};
INSTANTIATE_TEST_SUITE_P(PortableAvx2Avx512, EveryInstructionSet, testing::Range(size_t{0}, size_t{3}));

TEST_P(EveryInstructionSet, NormsRows) {
  const auto x = noise({3, 131}, 1), weight = noise({131}, 2), y = noise({3, 131}, 3);
  kernels().rms_norm(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), 3, 131, 1e-5f,
                     y.mutable_data_ptr<float>(), nullptr);
  expect_close(y, rms_norm_plain(x, weight, 1e-5), 1e-6, "norm");
}

TEST_P(EveryInstructionSet, MultipliesByTheGate) {
  const auto gate_up = noise({3, 2 * 77}, 1, 4.0), y = noise({3, 77}, 2);
  kernels().silu_mul(gate_up.const_data_ptr<float>(), 3, 77, y.mutable_data_ptr<float>());
  expect_close(y, activation_plain("silu", gate_up.narrow(1, 0, 77)) * gate_up.narrow(1, 77, 77), 1e-6, "silu");
}

// Values and gradients of one kind over rows of an odd width, some logits far apart.
void expect_loss(const RowKernels& kernels, LossKind kind) {
  const int64_t rows = 4, vocab = 203;
  const auto logits = leaf({rows, vocab}, 7, 6.0);
  const auto targets = 0.8 * logits.detach() + noise({rows, vocab}, 8, 2.0);  // alike, as in training
  const auto expected = element_loss_plain(kind, logits, targets);
  expected.sum().backward();
  const auto draft = logits.detach().clone(), target = targets.clone(), logs = targets.clone();
  std::vector<TargetRow> target_rows(rows);
  kernels.target_rows(target.mutable_data_ptr<float>(), rows, vocab, true, logs.mutable_data_ptr<float>(),
                      target_rows.data());
  std::vector<const TargetRow*> pointers;
  for (const TargetRow& row : target_rows) pointers.push_back(&row);
  LossWeights weights;
  weights.weight[static_cast<int>(kind)] = 1.0f;
  weights.wanted[static_cast<int>(kind)] = true;
  const std::vector<uint8_t> wants(rows, 1);
  std::vector<DraftRow> results(rows);
  kernels.draft_rows(draft.mutable_data_ptr<float>(), rows, vocab, pointers.data(), wants.data(), weights,
                     results.data());
  for (int64_t r = 0; r < rows; ++r) {
    EXPECT_NEAR(results[r].total, expected[r].item<float>(), 1e-5 * (1 + std::abs(expected[r].item<float>())))
        << name_of(kind);
  }
  expect_close(draft, logits.grad(), 1e-5, std::string(name_of(kind)));
}

TEST_P(EveryInstructionSet, GivesEveryLossWithItsGradient) {
  for (const LossKind kind : {LossKind::kKlDiv, LossKind::kReverseKl, LossKind::kJsd, LossKind::kCrossEntropy,
                              LossKind::kTotalVariation, LossKind::kNegLogAcceptance, LossKind::kLkHybrid}) {
    expect_loss(kernels(), kind);
  }
}

TEST_P(EveryInstructionSet, FindsTheFirstOfEqualMaxima) {
  auto logits = noise({1, 300}, 1);
  logits[0][70] = 9.0;
  logits[0][71] = 9.0;
  logits[0][299] = 9.0;
  TargetRow row;
  kernels().target_rows(logits.mutable_data_ptr<float>(), 1, 300, false, nullptr, &row);
  EXPECT_EQ(row.argmax, 70);
}

// Groups of three channels, two taps, blocks of two slots and one.
TEST_P(EveryInstructionSet, ConvolvesSlots) {
  const auto x = leaf({3, 21}, 1), change = leaf({3, 2 * 7}, 2), base = leaf({2, 21}, 3);
  const auto offsets = index_tensor({0, 1, 0});
  const auto plain = convolve_slots_plain(x, {change, base, offsets});
  const auto upstream = noise({3, 21}, 4);
  (plain * upstream).sum().backward();
  const ConvolutionRows rows{x.const_data_ptr<float>(),
                             base.const_data_ptr<float>(),
                             change.const_data_ptr<float>(),
                             14,
                             offsets.const_data_ptr<int64_t>(),
                             3,
                             21,
                             3,
                             2};
  const auto y = noise({3, 21}, 5), dx = noise({3, 21}, 6), d_change = noise({3, 14}, 7), d_base = noise({2, 21}, 8);
  kernels().convolve(rows, nullptr, y.mutable_data_ptr<float>());
  expect_close(y, plain, 1e-6, "value");
  kernels().convolve_backward(rows, upstream.const_data_ptr<float>(), dx.mutable_data_ptr<float>(),
                              d_change.mutable_data_ptr<float>(), d_base.mutable_data_ptr<float>());
  expect_close(dx, x.grad(), 1e-5, "x");
  expect_close(d_change, change.grad(), 1e-5, "change");
  expect_close(d_base, base.grad(), 1e-5, "base");
}

TEST_P(EveryInstructionSet, FindsTheLargestOfARow) {
  const auto values = noise({2, 777}, 1);
  std::vector<int64_t> ids(2 * 9);
  kernels().largest_rows(values.const_data_ptr<float>(), 2, 777, 9, ids.data());
  EXPECT_TRUE(index_tensor(ids).reshape({2, 9}).equal(std::get<1>(values.topk(9))));
}

TEST(VectorMath, ExpIsExactToRounding) {
  for (float x = -86.0f; x <= 80.0f; x += 0.37f) EXPECT_NEAR(fast_exp(x) / std::exp(x), 1.0, 3e-7) << x;
}
TEST(VectorMath, ExpOfFarNegativesIsZero) { EXPECT_EQ(fast_exp(-200.0f), 0.0f); }
TEST(VectorMath, LogIsExactToRounding) {
  for (float x = 1e-37f; x < 1e30f; x *= 1.7f)
    EXPECT_NEAR(fast_log(x), std::log(x), 3e-7 * (1 + std::abs(std::log(x)))) << x;
}

}  // namespace
}  // namespace speculators::nn
