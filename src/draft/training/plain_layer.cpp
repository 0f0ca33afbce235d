#include "draft/training/plain_layer.h"

#include <ATen/ops/cat.h>

#include "nn/plain_ops.h"

namespace speculators {
namespace {

torch::Tensor append(const torch::Tensor& cache, const torch::Tensor& rows) {
  return cache.defined() ? at::cat({cache, rows}) : rows;
}

torch::Tensor attend(const nn::DecoderLayer& layer, const LayerSettings& settings, const torch::Tensor& x,
                     const nn::RopeAngles& angles, LayerCache& cache, const torch::Tensor& visible) {
  const int64_t head_dim = layer.shape.head_dim;
  const auto heads = [&](const nn::LinearGroup& group, size_t part) {
    return project_plain(group, part, x, settings.compute_dtype).unflatten(1, {-1, head_dim});
  };
  auto q = heads(layer.q, 0), k = heads(layer.kv, 0);
  const auto v = heads(layer.kv, 1);
  if (layer.q_norm.defined()) {
    q = nn::rms_norm_plain(q, layer.q_norm, settings.eps);
    k = nn::rms_norm_plain(k, layer.k_norm, settings.eps);
  }
  cache.keys = append(cache.keys, nn::rope_plain(k, angles.cosines, angles.sines));
  cache.values = append(cache.values, v);
  const auto rotated = nn::rope_plain(q, angles.cosines, angles.sines);
  return project_plain(layer.o, 0, nn::attention_plain(rotated, cache.keys, cache.values, visible),
                       settings.compute_dtype);
}

}  // namespace

torch::Tensor project_plain(const nn::LinearGroup& group, size_t part, const torch::Tensor& x,
                            torch::ScalarType compute_dtype) {
  return nn::linear_plain(x, group.weight(part), group.has_bias() ? group.bias(part) : torch::Tensor(), compute_dtype);
}

torch::Tensor run_layer_plain(const nn::DecoderLayer& layer, const LayerSettings& settings, const torch::Tensor& x,
                              const torch::Tensor& residual, const nn::RopeAngles& angles, LayerCache& cache,
                              const torch::Tensor& visible) {
  const auto attended = residual + attend(layer, settings, x, angles, cache, visible);
  const auto normed = nn::rms_norm_plain(attended, layer.post_attention_layernorm, settings.eps);
  const auto projected = project_plain(layer.gate_up, 0, normed, settings.compute_dtype);
  const auto gate = nn::activation_plain(settings.hidden_act, projected);
  const auto up = project_plain(layer.gate_up, 1, normed, settings.compute_dtype);
  return attended + project_plain(layer.down, 0, gate * up, settings.compute_dtype);
}

}  // namespace speculators
