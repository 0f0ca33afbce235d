// Counting the floating-point operations that a training step needs: matrix products and attention, a multiply-add as
// two. Not counted: norms, activations, softmaxes, recomputed scores, invisible halves of tiles. So a share of the
// matrix-product rate worked out from it is a lower bound.
#pragma once

#include <cstdint>

#include "nn/decoder_layer.h"
#include "nn/range_attention.h"

namespace speculators {

// rows x inputs x outputs, `passes` times: forward, gradient of the weight, gradient of the input.
inline double product_flops(int64_t rows, int64_t inputs, int64_t outputs, int passes) {
  return 2.0 * passes * static_cast<double>(rows) * static_cast<double>(inputs) * static_cast<double>(outputs);
}
// o, gate, up and down of `rows` rows, forward and backward.
inline double tail_flops(const nn::LayerShape& s, int64_t rows) {
  return product_flops(rows, s.num_heads * s.head_dim, s.hidden_size, 3) +
         product_flops(rows, s.hidden_size, 3 * s.intermediate_size, 3);
}
// Two products forward, four backward, over the keys that each query sees.
inline double attention_flops(const nn::LayerShape& s, const nn::RangeAttentionPlan& plan) {
  int64_t keys = static_cast<int64_t>(plan.own_index.size());
  for (size_t i = 0; i < plan.first.size(); ++i) keys += plan.last[i] - plan.first[i];
  return product_flops(keys, s.head_dim, s.num_heads, 6);
}

}  // namespace speculators
