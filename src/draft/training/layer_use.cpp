#include "draft/training/layer_use.h"

#include <ATen/ops/split_with_sizes.h>

#include "nn/fused_ops.h"
#include "nn/plain_ops.h"

namespace speculators {

LayerUse::LayerUse(const nn::DecoderLayer& layer, const LayerSettings& settings)
    : LayerUse(layer, settings, nn::FixedColumns{}, nn::FixedColumns{}) {}

LayerUse::LayerUse(const nn::DecoderLayer& layer, const LayerSettings& settings, nn::FixedColumns for_q,
                   nn::FixedColumns for_kv)
    : q(layer.q, std::move(for_q), settings.compute_dtype),
      kv(layer.kv, std::move(for_kv), settings.compute_dtype),
      layer_(&layer),
      settings_(settings),
      o_(layer.o, settings.compute_dtype),
      gate_up_(layer.gate_up, settings.compute_dtype),
      down_(layer.down, settings.compute_dtype) {}

torch::Tensor LayerUse::queries(const torch::Tensor& projected, const nn::RopeAngles& angles) const {
  return nn::norm_and_rotate_heads(projected, layer_->q_norm, settings_.eps, angles);
}

nn::KeysValues LayerUse::keys_values(const torch::Tensor& projected, const nn::RopeAngles& angles) const {
  const int64_t width = layer_->shape.num_kv_heads * layer_->shape.head_dim;
  const auto parts = projected.split_with_sizes({width, width}, 1);
  return {nn::norm_and_rotate_heads(parts[0], layer_->k_norm, settings_.eps, angles), parts[1]};
}

torch::Tensor LayerUse::attend(const torch::Tensor& queries, const nn::KeysValues& base, const nn::KeysValues& own,
                               std::shared_ptr<const nn::RangeAttentionPlan> plan) const {
  const nn::AttentionShape shape{layer_->shape.num_heads, layer_->shape.num_kv_heads, layer_->shape.head_dim};
  return nn::range_attention(queries, base, own, shape, std::move(plan));
}

torch::Tensor LayerUse::finish(const torch::Tensor& mixed, const torch::Tensor& residual) {
  const auto attended = attention_output(mixed, residual);
  return mlp(nn::rms_norm(attended, layer_->post_attention_layernorm, settings_.eps), attended);
}

torch::Tensor LayerUse::attention_output(const torch::Tensor& mixed, const torch::Tensor& residual) {
  return o_.apply(mixed, residual);
}

torch::Tensor LayerUse::mlp(const torch::Tensor& normed, const torch::Tensor& residual) {
  const auto gate_up = gate_up_.apply(normed);
  if (settings_.hidden_act == "silu") return down_.apply(nn::silu_mul(gate_up), residual);
  const int64_t width = layer_->shape.intermediate_size;
  const auto gate = nn::activation_plain(settings_.hidden_act, gate_up.narrow(1, 0, width));
  return down_.apply(gate * gate_up.narrow(1, width, width), residual);
}

}  // namespace speculators
