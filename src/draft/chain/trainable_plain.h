// The layers of EAGLE-3 and P-EAGLE out of torch's own operations, with dense masks: the readable twin that checks the
// fused passes, and what runs on a GPU. Dims: R rows, C keys, A aux layers, D hidden size, Nk key/value heads, H head
// dim.
#pragma once

#include "draft/chain/trainable_network.h"
#include "draft/training/plain_layer.h"

namespace speculators {

struct ChainRowsPlain {
  torch::Tensor hidden;      // [R, D]
  torch::Tensor embeddings;  // [R, D], read by the first layer
  nn::RopeAngles angles;
};

// fc and its norms: aux states [R, A*D] -> [R, D]. Differentiable in the aux states too.
torch::Tensor fuse_aux_states_plain(const ChainNetwork& network, const torch::Tensor& aux_states);

// Layer `index` over the rows: their keys and values join the cache; `visible` bool [R, C] says what each row sees of
// it. -> [R, D]
torch::Tensor run_layer_plain(const ChainNetwork& network, size_t index, const ChainRowsPlain& rows, LayerCache& cache,
                              const torch::Tensor& visible);

}  // namespace speculators
