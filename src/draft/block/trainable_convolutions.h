// Convolutions over the slots of a block around the sub-layers of every layer, in training: an algorithm of the DFlash
// family may give its BlockModel some. Input and output of a sub-layer are convolved, both by coefficients that one
// projection makes of the sub-layer's normed input. Source: reference algorithms.md 8a.2, 8a.3.
// Dims: R rows (slots), D hidden size, C taps, S channels of a group.
#pragma once

#include <torch/types.h>

#include <string>

#include "nn/decoder_layer.h"
#include "nn/linear_group.h"

namespace speculators {

struct SublayerConvolution {
  torch::Tensor base_kernel;   // [2, C, D]: of the input, of the output
  nn::LinearGroup projection;  // [2 * C * D/S, D]: side, tap, group

  int64_t num_coefficients() const { return projection.num_outputs(); }
};

struct LayerConvolutions {
  SublayerConvolution attention, mlp;
};

// Both leave their sub-layer as it is: 1 on the first tap, nothing else.
LayerConvolutions make_layer_convolutions(int64_t hidden_size, int64_t num_taps, int64_t group_size);
void visit_parameters(LayerConvolutions& convolutions, const std::string& prefix, const nn::ParameterVisitor& visit);

// One convolution in one forward pass, and what its projection made of the sub-layer's normed input.
class ConvolutionUse {
 public:
  // normed [R, D], by rows or by distinct rows.
  ConvolutionUse(const SublayerConvolution& convolution, const torch::Tensor& normed, torch::ScalarType compute_dtype,
                 bool plain_ops = false);
  // Rows `index` of what was projected, one for each row that is convolved. int64 [R]
  void take_input_rows(const torch::Tensor& index);
  void take_output_rows(const torch::Tensor& index);

  // What the sub-layer reads; what it gives to the residual stream, with `residual` if there is one. `offsets`: int64
  // [R] in the block (nn::SlotConvolution). x, y, residual [R, D]
  torch::Tensor enter(const torch::Tensor& x, const torch::Tensor& offsets) const;
  torch::Tensor leave(const torch::Tensor& y, const torch::Tensor& offsets, const torch::Tensor& residual) const;

 private:
  torch::Tensor convolve(int64_t side, const torch::Tensor& x, const torch::Tensor& offsets,
                         const torch::Tensor& addend) const;

  torch::Tensor base_kernel_;
  torch::Tensor changes_[2];  // [R, C * D/S]: of the input, of the output
  bool plain_ops_;
};

}  // namespace speculators
