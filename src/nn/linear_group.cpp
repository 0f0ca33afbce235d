#include "nn/linear_group.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <numeric>

namespace speculators::nn {
namespace {

constexpr double kInitialStd = 0.02;

}  // namespace

LinearGroup::LinearGroup(int64_t num_inputs, std::vector<int64_t> num_outputs, bool has_bias,
                         at::Generator& generator) {
  const at::NoGradGuard no_grad;
  const int64_t total = std::accumulate(num_outputs.begin(), num_outputs.end(), int64_t{0});
  all_weights_ = at::empty({total, num_inputs}, torch::kFloat32).normal_(0.0, kInitialStd, generator);
  if (has_bias) all_biases_ = at::zeros({total}, torch::kFloat32);
  int64_t offset = 0;
  for (const int64_t outputs : num_outputs) {
    weights_.push_back(all_weights_.narrow(0, offset, outputs).detach().requires_grad_(true));
    biases_.push_back(has_bias ? all_biases_.narrow(0, offset, outputs).detach().requires_grad_(true)
                               : torch::Tensor());
    offset += outputs;
  }
}

torch::Tensor make_normal_parameter(at::IntArrayRef shape, at::Generator& generator) {
  const at::NoGradGuard no_grad;
  return at::empty(shape, torch::kFloat32).normal_(0.0, kInitialStd, generator).requires_grad_(true);
}

torch::Tensor make_norm_parameter(int64_t width) { return at::ones({width}, torch::kFloat32).requires_grad_(true); }

}  // namespace speculators::nn
