// Weight matrices that share their input, stored one above the other: one product serves all, while each keeps its own
// leaf tensor (a view) for optimiser and checkpoint. Dims: I inputs, O outputs.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace speculators::nn {

class LinearGroup {
 public:
  LinearGroup() = default;
  // Weights N(0, 0.02), biases 0.
  LinearGroup(int64_t num_inputs, std::vector<int64_t> num_outputs, bool has_bias, at::Generator& generator);

  size_t num_parts() const { return weights_.size(); }
  // Leaves that require a gradient. Change them in place only.
  torch::Tensor& weight(size_t part) { return weights_[part]; }  // [O_part, I]
  const torch::Tensor& weight(size_t part) const { return weights_[part]; }
  torch::Tensor& bias(size_t part) { return biases_[part]; }  // [O_part]; undefined without bias
  const torch::Tensor& bias(size_t part) const { return biases_[part]; }
  bool has_bias() const { return all_biases_.defined(); }
  const torch::Tensor& all_weights() const { return all_weights_; }  // [sum of O, I], no gradient
  const torch::Tensor& all_biases() const { return all_biases_; }    // [sum of O]
  int64_t num_outputs() const { return all_weights_.size(0); }

 private:
  torch::Tensor all_weights_, all_biases_;
  std::vector<torch::Tensor> weights_, biases_;
};

// N(0, 0.02), what Hugging Face gives a linear without an initializer_range of its own. fp32, a leaf with gradient.
torch::Tensor make_normal_parameter(at::IntArrayRef shape, at::Generator& generator);
// Ones: the weight of a fresh RMSNorm. fp32, a leaf with gradient.
torch::Tensor make_norm_parameter(int64_t width);

}  // namespace speculators::nn
