// For tests of nn/: small random tensors and comparisons.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <string>
#include <vector>

namespace speculators::nn::testing_tensors {

inline torch::Tensor noise(at::IntArrayRef shape, uint64_t seed, double scale = 1.0) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::empty(shape, torch::kFloat32).normal_(0.0, scale, generator);
}
inline torch::Tensor leaf(at::IntArrayRef shape, uint64_t seed, double scale = 1.0) {
  return noise(shape, seed, scale).requires_grad_(true);
}

inline void expect_close(const torch::Tensor& found, const torch::Tensor& expected, double tolerance,
                         const std::string& what) {
  ASSERT_TRUE(found.defined()) << what;
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  const double difference = (found - expected).norm().item<double>();
  EXPECT_LE(difference, tolerance * (expected.norm().item<double>() + 1e-6)) << what;
}

// Gradients of `leaves` under a fixed random projection of `output`; the leaves' gradients are cleared.
inline std::vector<torch::Tensor> gradients(const torch::Tensor& output, const std::vector<torch::Tensor>& leaves) {
  (output * noise(output.sizes(), 99)).sum().backward();
  std::vector<torch::Tensor> result;
  for (const auto& leaf : leaves) {
    result.push_back(leaf.grad().defined() ? leaf.grad().clone() : torch::Tensor());
    leaf.mutable_grad() = torch::Tensor();
  }
  return result;
}

}  // namespace speculators::nn::testing_tensors
