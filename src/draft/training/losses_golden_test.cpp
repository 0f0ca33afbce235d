// The seven element losses of upstream (values, and gradients of their sum) by the plain twin and by the row kernels.
#include "draft/training/golden_test_support.h"
#include "nn/kernels/row_kernels.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

using nn::LossKind;

class GoldenLoss : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!fs::exists(golden::shared_folder())) GTEST_SKIP() << "no " << golden::shared_folder();
    tensors_ = golden::read_tensors(golden::shared_folder() / "losses.safetensors");
    kind_ = nn::parse_loss_spec(GetParam()).terms[0].kind;
  }
  torch::Tensor rows(const std::string& name) const { return tensors_.at(name).squeeze(0).clone(); }
  void expect_value_and_gradient(const torch::Tensor& value, const torch::Tensor& gradient) const {
    const auto expected = rows(std::string(GetParam()) + ".value"), d = rows(std::string(GetParam()) + ".grad");
    EXPECT_LE((value - expected).abs().max().item<double>(), 1e-5 * expected.abs().max().item<double>());
    EXPECT_LE((gradient - d).norm().item<double>(), 1e-5 * d.norm().item<double>());
  }
  golden::TensorMap tensors_;
  LossKind kind_ = LossKind::kKlDiv;
};
INSTANTIATE_TEST_SUITE_P(Kinds, GoldenLoss, testing::Values("kl_div", "rkl", "jsd", "ce", "tv", "nla", "lk_hybrid"));

TEST_P(GoldenLoss, PlainTwinGivesUpstreamsNumbers) {
  const auto logits = rows("logits").requires_grad_(true);
  const auto value = nn::element_loss_plain(kind_, logits, rows("targets"));
  value.sum().backward();
  expect_value_and_gradient(value.detach(), logits.grad());
}

TEST_P(GoldenLoss, RowKernelsGiveUpstreamsNumbers) {
  const auto logits = rows("logits"), targets = rows("targets"), logs = targets.clone();
  const int64_t count = logits.size(0), vocab = logits.size(1);
  std::vector<nn::TargetRow> target_rows(count);
  nn::row_kernels().target_rows(targets.mutable_data_ptr<float>(), count, vocab, true, logs.mutable_data_ptr<float>(),
                                target_rows.data());
  std::vector<const nn::TargetRow*> pointers;
  for (const nn::TargetRow& row : target_rows) pointers.push_back(&row);
  nn::LossWeights weights;
  weights.weight[static_cast<int>(kind_)] = 1.0f;
  weights.wanted[static_cast<int>(kind_)] = true;
  std::vector<nn::DraftRow> results(count);
  nn::row_kernels().draft_rows(logits.mutable_data_ptr<float>(), count, vocab, pointers.data(),
                               std::vector<uint8_t>(count, 1).data(), weights, results.data());
  auto value = at::empty({count}, torch::kFloat32);
  for (int64_t r = 0; r < count; ++r) value[r] = results[r].total;
  expect_value_and_gradient(value, logits);
}

}  // namespace
}  // namespace speculators
