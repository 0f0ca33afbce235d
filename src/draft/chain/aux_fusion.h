// Aux hidden states -> the draft's hidden input: optional norms, then fc. Source: reference algorithms.md 5.3 steps
// 2-3. Dims: M rows, A aux layers, D hidden size.
#pragma once

#include <vector>

#include "checkpoint/safetensors.h"
#include "draft/chain/config.h"
#include "kernels/packed_linear.h"

namespace speculators {

class AuxFusion {
 public:
  AuxFusion(const TensorFile& file, const ChainConfig& config);
  int64_t width() const { return num_aux_ * hidden_size_; }  // A*D
  // aux [M, A*D], overwritten -> out [M, D].
  void forward(float* aux, int64_t num_rows, float* out) const;

 private:
  float eps_;
  int64_t num_aux_, hidden_size_;
  PackedLinear fc_;
  std::vector<float> input_norm_;             // [A*D] or empty
  std::vector<std::vector<float>> fc_norms_;  // A of [D], or none
};

}  // namespace speculators
