#include "draft/chain/trainable_plain.h"

#include <ATen/ops/cat.h>

#include "nn/plain_ops.h"

namespace speculators {
namespace {

torch::Tensor append(const torch::Tensor& cache, const torch::Tensor& rows) {
  return cache.defined() ? at::cat({cache, rows}) : rows;
}

torch::Tensor project(const ChainNetwork& network, const nn::LinearGroup& group, size_t part, const torch::Tensor& x) {
  return nn::linear_plain(x, group.weight(part), group.has_bias() ? group.bias(part) : torch::Tensor(),
                          network.compute_dtype);
}

torch::Tensor attend(const ChainNetwork& network, const nn::DecoderLayer& layer, const torch::Tensor& x,
                     const nn::RopeAngles& angles, LayerCache& cache, const torch::Tensor& visible) {
  const int64_t head_dim = layer.shape.head_dim;
  auto q = project(network, layer.q, 0, x).unflatten(1, {-1, head_dim});
  auto k = project(network, layer.kv, 0, x).unflatten(1, {-1, head_dim});
  const auto v = project(network, layer.kv, 1, x).unflatten(1, {-1, head_dim});
  if (layer.q_norm.defined()) {
    q = nn::rms_norm_plain(q, layer.q_norm, network.eps);
    k = nn::rms_norm_plain(k, layer.k_norm, network.eps);
  }
  cache.keys = append(cache.keys, nn::rope_plain(k, angles.cosines, angles.sines));
  cache.values = append(cache.values, v);
  const auto rotated = nn::rope_plain(q, angles.cosines, angles.sines);
  return project(network, layer.o, 0, nn::attention_plain(rotated, cache.keys, cache.values, visible));
}

}  // namespace

torch::Tensor fuse_aux_states_plain(const ChainNetwork& network, const torch::Tensor& aux_states) {
  auto x = aux_states.to(torch::kFloat32);
  if (network.input_norm.defined()) x = nn::rms_norm_plain(x, network.input_norm, network.eps);
  if (!network.fc_norm.empty()) {
    auto chunks = x.chunk(static_cast<int64_t>(network.fc_norm.size()), 1);
    for (size_t j = 0; j < chunks.size(); ++j)
      chunks[j] = nn::rms_norm_plain(chunks[j], network.fc_norm[j], network.eps);
    x = at::cat(chunks, 1);
  }
  return project(network, network.fc, 0, x);
}

torch::Tensor run_layer_plain(const ChainNetwork& network, size_t index, const ChainRowsPlain& rows, LayerCache& cache,
                              const torch::Tensor& visible) {
  const nn::DecoderLayer& layer = network.layers[index];
  const double eps = network.eps;
  torch::Tensor x, residual = rows.hidden;
  if (index == 0) {
    const auto normed = nn::rms_norm_plain(rows.hidden, layer.hidden_norm, eps);
    x = at::cat({nn::rms_norm_plain(rows.embeddings, layer.input_layernorm, eps), normed}, 1);  // [R, 2D]
    if (network.norm_before_residual) residual = normed;
  } else {
    x = nn::rms_norm_plain(rows.hidden, layer.input_layernorm, eps);
  }
  residual = residual + attend(network, layer, x, rows.angles, cache, visible);
  const auto normed = nn::rms_norm_plain(residual, layer.post_attention_layernorm, eps);
  const auto gate = nn::activation_plain(network.hidden_act, project(network, layer.gate_up, 0, normed));
  return residual + project(network, layer.down, 0, gate * project(network, layer.gate_up, 1, normed));
}

}  // namespace speculators
