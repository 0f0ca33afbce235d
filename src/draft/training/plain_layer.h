// One decoder layer of a draft out of torch's own operations: the readable twin of LayerUse. What comes before the
// attention differs between algorithms. Dims: R rows, C keys, D hidden size, Nk key/value heads, H head dim.
#pragma once

#include "draft/training/layer_use.h"

namespace speculators {

// Keys and values that later calls of the same layer see as well. [C, Nk, H]
struct LayerCache {
  torch::Tensor keys, values;
};

// x [R, ...] times one matrix of the group, plus its bias.
torch::Tensor project_plain(const nn::LinearGroup& group, size_t part, const torch::Tensor& x,
                            torch::ScalarType compute_dtype);

// Attention of the normed rows `x`: their keys and values join the cache; `visible` bool [R, C] says what each row sees
// of it. Then the residual [R, D], then the MLP. -> [R, D]
torch::Tensor run_layer_plain(const nn::DecoderLayer& layer, const LayerSettings& settings, const torch::Tensor& x,
                              const torch::Tensor& residual, const nn::RopeAngles& angles, LayerCache& cache,
                              const torch::Tensor& visible);

}  // namespace speculators
