// The weights that EAGLE-3 and P-EAGLE share in training: fc over the verifier's aux states, a first layer that reads
// [embedding ; hidden], further layers, the final norm. Internal to chain/, eagle3/ and peagle/.
// Source: reference algorithms.md 3.4, 5.3. Dims: R rows, A aux layers, D hidden size.
#pragma once

#include <vector>

#include "draft/chain/config.h"
#include "draft/training/frozen_tensors.h"
#include "nn/decoder_layer.h"
#include "nn/rope.h"

namespace speculators {

struct ChainNetwork {
  FrozenTensors frozen;
  nn::Rope rope;
  nn::LinearGroup fc;                    // [D, A*D]
  torch::Tensor input_norm;              // [A*D], with norm_before_fc
  std::vector<torch::Tensor> fc_norm;    // A times [D], with fc_norm
  std::vector<nn::DecoderLayer> layers;  // the first reads [embedding ; hidden]
  torch::Tensor norm;                    // [D]
  // Of the config, what a forward pass needs.
  int64_t hidden_size = 0;
  double eps = 1e-6;
  std::string hidden_act;
  bool norm_before_residual = false;
  std::vector<std::optional<int64_t>> windows;        // of each layer; none: full attention
  torch::ScalarType compute_dtype = torch::kFloat32;  // of the matrix products

  int64_t aux_width() const { return fc.all_weights().size(1); }  // A*D
};

// New weights from `generator`.
ChainNetwork make_chain_network(const ChainConfig& config, FrozenTensors frozen, torch::ScalarType compute_dtype,
                                at::Generator& generator);
void visit_parameters(ChainNetwork& network, const nn::ParameterVisitor& visit);

// fc and its norms over aux states that need no gradient [R, A*D] -> [R, D]; fused operations.
torch::Tensor fuse_aux_states(const ChainNetwork& network, const torch::Tensor& aux_states);

// Row j of the result: token x_{j+1} and its mask bit, features g_j, target state y_{j+1}, position j + 1.
TrainDocument shift_document(TrainDocument document);

}  // namespace speculators
