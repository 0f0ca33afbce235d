// Cross entropy of draft states with the tokens of the data (not with the verifier's distribution): what MTP trains on.
// The fused path never holds more than a chunk of logits; the gradient of the states is computed in the same pass,
// while the logits are at hand (it is linear in the later row weights). The head is frozen and gets no gradient.
// Source: reference algorithms.md 9.2. Dims: P rows with a label, D hidden size, V vocabulary.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace speculators::nn {

struct LabelLosses {
  torch::Tensor value;             // fp32 [P], differentiable in the states: -log softmax(states lm_head')[label]
  std::vector<float> host_values;  // the same on the host
  std::vector<uint8_t> match;      // [P] the label is the argmax of the logits
};

struct LabelLossOptions {
  torch::ScalarType compute_dtype = torch::kFloat32;
  int64_t chunk_bytes = int64_t{24} << 20;  // of logits; at least 64 rows are taken at once
};

// states fp32 [P, D], lm_head fp32 [V, D]. Throws ShapeError unless there is one label in [0, V) for each row. CPU.
LabelLosses label_losses(const torch::Tensor& states, const std::vector<int64_t>& labels, const torch::Tensor& lm_head,
                         const LabelLossOptions& options = {});
LabelLosses label_losses_plain(const torch::Tensor& states, const std::vector<int64_t>& labels,
                               const torch::Tensor& lm_head);

}  // namespace speculators::nn
