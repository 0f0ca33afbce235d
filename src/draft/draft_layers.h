// The decoder layers of a draft in serving form: rows of many sequences in one pass, one matrix product for all of
// them, keys and values in pages. Llama and Qwen3 layers (with q and k norms), full and sliding attention.
// Dims: M rows, D hidden size, N query heads, Nk key/value heads, H head dim, E inputs of the first layer (D, or 2D).
// Not thread-safe: buffers are kept from call to call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/rotary_frequencies.h"
#include "checkpoint/safetensors.h"
#include "draft/slot_convolution.h"
#include "kernels/kv_cache.h"
#include "kernels/ops.h"
#include "kernels/packed_linear.h"

namespace speculators {

// Grows, never shrinks: a steady round allocates nothing.
class Buffer {
 public:
  float* at_least(int64_t count) {
    if (static_cast<int64_t>(values_.size()) < count) values_.resize(count);
    return values_.data();
  }
  float* data() { return values_.data(); }
  const float* data() const { return values_.data(); }

 private:
  std::vector<float> values_;
};

// One row of a pass: where its keys and values go and what it sees.
struct DraftRow {
  KvSequence* sequence = nullptr;
  int64_t slot = 0;                            // index in the sequence's cache, which must have room
  int64_t position = 0;                        // for RoPE
  int64_t full_end = 0;                        // full layers see slots [0, full_end)
  int64_t sliding_begin = 0, sliding_end = 0;  // sliding layers see [begin, end)
  bool wanted = false;                         // its state is read after the last layer
  // Rows of the same block right before it; layers with convolutions only, where a wanted row needs these wanted too.
  int64_t block_offset = 0;
};

class DraftLayers {
 public:
  // Reads "<prefix><i>.*" of tensors that were checked. Throws DataError for an activation other than silu.
  DraftLayers(const TensorFile& file, const ModelConfig& config, int64_t first_inputs,
              const std::string& prefix = "layers.");

  int64_t hidden_size() const { return hidden_size_; }
  // Room for `num_caches` sets of keys and values of each row.
  std::unique_ptr<KvPool> make_kv_pool(int64_t num_caches = 1) const;
  // y = input_layernorm of the first layer. x, y [M, D].
  void first_input_norm(const float* x, int64_t num_rows, float* y) const;

  // Keys and values of context rows, `states` [M, D], in every layer: what DFlash injects. States are not normed again.
  void store_context(const std::vector<DraftRow>& rows, const float* states);

  // All layers. `inputs` [M, E] is what the first layer's attention reads, `hidden` [M, D] the residual stream; both
  // are overwritten. Afterwards `rows` and `hidden` hold the wanted rows only, in order. In the last layer a row that
  // is not wanted costs its keys and values only. `cache`: which set of keys and values the rows write and see.
  void forward(std::vector<DraftRow>& rows, float* inputs, float* hidden, int64_t cache = 0);

 private:
  struct Layer {
    Layer(const TensorFile& file, const ModelConfig& config, const std::string& prefix, int64_t index);
    std::vector<float> input_norm, post_attention_norm, q_norm, k_norm;  // q_norm, k_norm: empty for llama
    PackedLinear q, kv, o, gate_up, down;
    std::optional<SlotConvolution> attention_conv, mlp_conv;  // where the file has them: around the sub-layers
    bool sliding = false;
    int64_t index = 0;
  };

  void store(const Layer& layer, const std::vector<DraftRow>& rows, const float* inputs);
  void transform(const Layer& layer, const std::vector<DraftRow>& rows, const float* inputs, float* hidden);
  void attend(const Layer& layer, const std::vector<DraftRow>& rows, const float* q, float* out);
  void set_positions(const std::vector<DraftRow>& rows);
  // The convolved inputs of a sub-layer; `changes` keeps what leave() takes.
  float* enter(const SlotConvolution& convolution, const float* normed, Buffer& changes);
  // hidden += what the sub-layer made, convolved.
  void leave(const SlotConvolution& convolution, const float* made, const Buffer& changes, float* hidden);

  int64_t hidden_size_, intermediate_size_, num_heads_, num_kv_heads_, head_dim_, first_inputs_;
  float eps_, scale_;
  std::vector<Layer> layers_;
  int64_t first_cached_ = 0;  // where the first layer's keys and values lie in the pool
  RotaryFrequencies frequencies_;
  RopeTable rope_;
  std::vector<int64_t> positions_, block_offsets_;
  std::vector<AttentionRow> attention_rows_;
  Buffer inputs_, q_, kv_, attended_, delta_, gate_up_, activated_;
  Buffer convolved_, attention_changes_, mlp_changes_;
};

}  // namespace speculators
