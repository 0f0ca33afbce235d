#include "verifier/decoder_layer.h"

#include <cmath>

#include "kernels/compute_pool.h"

namespace speculators {
namespace {

void grow_to(AlignedVector<float>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(static_cast<size_t>(size));
}

// RMSNorm of every query and key head.
void norm_heads(const DecoderLayerWeights& weights, const ModelConfig& config, int64_t num_rows, float* qkv) {
  const int64_t num_q = config.num_attention_heads, num_kv = config.num_key_value_heads;
  const int64_t row_size = (num_q + 2 * num_kv) * config.head_dim;
  const auto eps = static_cast<float>(config.rms_norm_eps);
  for (int64_t i = 0; i < num_rows; ++i) {
    float* q = qkv + i * row_size;
    float* k = q + num_q * config.head_dim;
    rms_norm(q, weights.q_norm.data(), num_q, config.head_dim, eps, q);
    rms_norm(k, weights.k_norm.data(), num_kv, config.head_dim, eps, k);
  }
}

void store_keys_and_values(const ModelConfig& config, int64_t layer, const RowPlaces& rows, const float* qkv) {
  const int64_t q_size = config.num_attention_heads * config.head_dim;
  const int64_t kv_size = config.num_key_value_heads * config.head_dim;
  constexpr int64_t kGrain = 64;  // few rows are stored sooner than a worker wakes
  compute_pool().parallel_for(rows.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* key = qkv + i * (q_size + 2 * kv_size) + q_size;
      rows.sequences[i]->store(layer, rows.positions[i], key, key + kv_size);
    }
  });
}

}  // namespace

void DecoderActivations::grow(int64_t num_rows, const ModelConfig& config) {
  const int64_t num_q = config.num_attention_heads, num_kv = config.num_key_value_heads;
  grow_to(hidden, num_rows * config.hidden_size);
  grow_to(delta, num_rows * config.hidden_size);
  grow_to(normed, num_rows * config.hidden_size);
  grow_to(qkv, num_rows * (num_q + 2 * num_kv) * config.head_dim);
  grow_to(attended, num_rows * num_q * config.head_dim);
  grow_to(gate_up, num_rows * 2 * config.intermediate_size);
  grow_to(activated, num_rows * config.intermediate_size);
}

bool is_sliding_layer(const ModelConfig& config, int64_t layer) {
  if (!config.sliding_window) return false;
  return config.layer_types.empty() || config.layer_types[layer] == "sliding_attention";
}

void attention_part(const DecoderLayerWeights& weights, const ModelConfig& config, int64_t layer, const RowPlaces& rows,
                    const RopeTable& rope, DecoderActivations& activations) {
  const int64_t num_q = config.num_attention_heads, num_kv = config.num_key_value_heads;
  const int64_t row_size = (num_q + 2 * num_kv) * config.head_dim;
  const int64_t num_rows = rows.size();
  float* qkv = activations.qkv.data();

  weights.qkv.forward(activations.normed.data(), num_rows, qkv);  // [T, (N + 2 Nk) * H]
  if (!weights.q_norm.empty()) norm_heads(weights, config, num_rows, qkv);
  // Query and key heads lie side by side, so one call turns both.
  apply_rope(qkv, rows.positions.data(), num_rows, num_q + num_kv, config.head_dim, row_size, rope);
  store_keys_and_values(config, layer, rows, qkv);

  const float scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  attention(qkv, row_size, is_sliding_layer(config, layer) ? rows.sliding : rows.causal, layer, num_q, scale,
            activations.attended.data());                                                   // [T, N * H]
  weights.o_proj.forward(activations.attended.data(), num_rows, activations.delta.data());  // [T, Dv]
}

void feed_forward_part(const DecoderLayerWeights& weights, const ModelConfig& config, const RowPlaces& rows,
                       DecoderActivations& activations) {
  weights.gate_up.forward(activations.normed.data(), rows.size(), activations.gate_up.data());  // [T, 2 I]
  silu_mul(activations.gate_up.data(), rows.size(), config.intermediate_size, activations.activated.data());  // [T, I]
  weights.down.forward(activations.activated.data(), rows.size(), activations.delta.data());                  // [T, Dv]
}

}  // namespace speculators
