#include "draft/chain/trainable_plain.h"

#include <ATen/ops/cat.h>

#include "nn/plain_ops.h"

namespace speculators {

torch::Tensor fuse_aux_states_plain(const ChainNetwork& network, const torch::Tensor& aux_states) {
  auto x = aux_states.to(torch::kFloat32);
  if (network.input_norm.defined()) x = nn::rms_norm_plain(x, network.input_norm, network.eps);
  if (!network.fc_norm.empty()) {
    auto chunks = x.chunk(static_cast<int64_t>(network.fc_norm.size()), 1);
    for (size_t j = 0; j < chunks.size(); ++j)
      chunks[j] = nn::rms_norm_plain(chunks[j], network.fc_norm[j], network.eps);
    x = at::cat(chunks, 1);
  }
  return project_plain(network.fc, 0, x, network.compute_dtype);
}

torch::Tensor run_layer_plain(const ChainNetwork& network, size_t index, const ChainRowsPlain& rows, LayerCache& cache,
                              const torch::Tensor& visible) {
  const nn::DecoderLayer& layer = network.layers[index];
  const LayerSettings settings{network.eps, network.hidden_act, network.compute_dtype};
  torch::Tensor x = nn::rms_norm_plain(index == 0 ? rows.embeddings : rows.hidden, layer.input_layernorm, network.eps);
  torch::Tensor residual = rows.hidden;
  if (index == 0) {
    const auto normed = nn::rms_norm_plain(rows.hidden, layer.hidden_norm, network.eps);
    x = at::cat({x, normed}, 1);  // [R, 2D]
    if (network.norm_before_residual) residual = normed;
  }
  return run_layer_plain(layer, settings, x, residual, rows.angles, cache, visible);
}

}  // namespace speculators
