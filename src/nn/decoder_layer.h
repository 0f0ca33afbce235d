// The weights of one decoder layer of a draft (llama or qwen3 style), with the names they have in a checkpoint.
// Dims: D hidden size, I intermediate size, N heads, Nk key/value heads, H head dim.
#pragma once

#include <torch/types.h>

#include <functional>
#include <string>

#include "nn/linear_group.h"

namespace speculators::nn {

struct LayerShape {
  int64_t num_inputs = 0;  // of q, k, v: D, or 2D where embedding and hidden state are concatenated
  int64_t hidden_size = 0, intermediate_size = 0;
  int64_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
  bool has_qk_norms = false;     // qwen3
  bool has_hidden_norm = false;  // EAGLE's first layer
  bool attention_bias = false, mlp_bias = false;
};

struct DecoderLayer {
  DecoderLayer() = default;
  DecoderLayer(const LayerShape& shape, at::Generator& generator);

  LayerShape shape;
  LinearGroup q;                           // [N*H, num_inputs]
  LinearGroup kv;                          // k and v, [Nk*H, num_inputs] each
  LinearGroup o;                           // [D, N*H]
  LinearGroup gate_up;                     // gate and up, [I, D] each
  LinearGroup down;                        // [D, I]
  torch::Tensor q_norm, k_norm;            // [H]; undefined without q and k norms
  torch::Tensor input_layernorm;           // [D]
  torch::Tensor hidden_norm;               // [D]; undefined outside EAGLE's first layer
  torch::Tensor post_attention_layernorm;  // [D]
};

using ParameterVisitor = std::function<void(const std::string& name, torch::Tensor& value)>;
// Visits every parameter in a fixed order, its name behind `prefix` ("layers.0.").
void visit_parameters(DecoderLayer& layer, const std::string& prefix, const ParameterVisitor& visit);

}  // namespace speculators::nn
