// One decoder layer on a batch of rows: attention over each row's own sequence, then the SwiGLU feed-forward part.
// Source: the Llama family in transformers; reference algorithms.md 4.1-4.3.
// Dims: T rows of the batch, Dv hidden size, I intermediate size, N query heads, Nk key/value heads, H head dim.
#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/model_config.h"
#include "kernels/aligned.h"
#include "kernels/kv_cache.h"
#include "kernels/ops.h"
#include "verifier/decoder_weights.h"

namespace speculators {

// Where each row of the batch belongs.
struct RowPlaces {
  std::vector<KvSequence*> sequences;  // [T]
  std::vector<int64_t> positions;      // [T]
  std::vector<AttentionRow> causal;    // [T] keys that a row sees in a full layer
  std::vector<AttentionRow> sliding;   // [T] and in a sliding one; empty when there is none
  int64_t size() const { return static_cast<int64_t>(positions.size()); }
};

// Intermediate results, reused from layer to layer and from pass to pass. Only grows.
struct DecoderActivations {
  AlignedVector<float> hidden;     // [T, Dv] the residual stream
  AlignedVector<float> delta;      // [T, Dv] what the last part adds to it
  AlignedVector<float> normed;     // [T, Dv]
  AlignedVector<float> qkv;        // [T, (N + 2 Nk) * H]
  AlignedVector<float> attended;   // [T, N * H]
  AlignedVector<float> gate_up;    // [T, 2 I]
  AlignedVector<float> activated;  // [T, I]
  void grow(int64_t num_rows, const ModelConfig& config);
};

bool is_sliding_layer(const ModelConfig& config, int64_t layer);

// Reads `normed` (the input norm's result), leaves the attention's output in `delta`, keys and values in the cache.
void attention_part(const DecoderLayerWeights& weights, const ModelConfig& config, int64_t layer, const RowPlaces& rows,
                    const RopeTable& rope, DecoderActivations& activations);
// Reads `normed` (the post-attention norm's result), leaves the output in `delta`.
void feed_forward_part(const DecoderLayerWeights& weights, const ModelConfig& config, const RowPlaces& rows,
                       DecoderActivations& activations);

}  // namespace speculators
