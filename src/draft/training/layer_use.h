// One decoder layer of a draft during one forward pass, in fused operations. What comes before the attention differs
// between algorithms; keys, queries and everything behind the attention are here. Dims: R rows, D hidden size, N heads,
// Nk key/value heads, H head dim.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>

#include "nn/decoder_layer.h"
#include "nn/linear_use.h"
#include "nn/range_attention.h"
#include "nn/rope.h"

namespace speculators {

struct LayerSettings {
  double eps = 1e-6;
  std::string hidden_act = "silu";
  torch::ScalarType compute_dtype = torch::kFloat32;
};

class LayerUse {
 public:
  // Every projection reads plain inputs.
  LayerUse(const nn::DecoderLayer& layer, const LayerSettings& settings);
  // The first columns of q, k and v are fixed rows (nn::LinearUse); the two sets of rows may differ.
  LayerUse(const nn::DecoderLayer& layer, const LayerSettings& settings, nn::FixedColumns for_q,
           nn::FixedColumns for_kv);

  nn::LinearUse q, kv;

  // projected [R, N*H] or [R, 2*Nk*H], straight from q or kv.
  torch::Tensor queries(const torch::Tensor& projected, const nn::RopeAngles& angles) const;  // [R, N*H]
  nn::KeysValues keys_values(const torch::Tensor& projected, const nn::RopeAngles& angles) const;
  torch::Tensor attend(const torch::Tensor& queries, const nn::KeysValues& base, const nn::KeysValues& own,
                       std::shared_ptr<const nn::RangeAttentionPlan> plan) const;  // [R, N*H]
  // residual [R, D] plus attention output, then plus MLP.
  torch::Tensor finish(const torch::Tensor& mixed, const torch::Tensor& residual);
  // Its two halves: o of `mixed`, and the MLP of normed rows; plus `residual` if there is one. [R, D]
  torch::Tensor attention_output(const torch::Tensor& mixed, const torch::Tensor& residual = {});
  torch::Tensor mlp(const torch::Tensor& normed, const torch::Tensor& residual = {});
  const nn::DecoderLayer& layer() const { return *layer_; }

 private:
  const nn::DecoderLayer* layer_;
  LayerSettings settings_;
  nn::LinearUse o_, gate_up_, down_;
};

}  // namespace speculators
