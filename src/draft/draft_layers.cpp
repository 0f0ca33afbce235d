#include "draft/draft_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/errors.h"
#include "draft/layer_checks.h"
#include "draft/load_weights.h"
#include "kernels/ops.h"

namespace speculators {
namespace {

// Keeps the wanted ones of `num_rows` rows of `width` floats, moved to the front.
void keep_wanted(const std::vector<DraftRow>& rows, int64_t width, float* values) {
  float* to = values;
  for (size_t m = 0; m < rows.size(); ++m) {
    if (!rows[m].wanted) continue;
    const float* from = values + static_cast<int64_t>(m) * width;
    if (to != from) std::copy_n(from, width, to);
    to += width;
  }
}

}  // namespace

DraftLayers::Layer::Layer(const TensorFile& file, const ModelConfig& config, const std::string& layers_prefix,
                          int64_t layer_index)
    : sliding(is_sliding(config, layer_index)), index(layer_index) {
  const std::string prefix = fmt::format("{}{}.", layers_prefix, index);
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  input_norm = load_vector(file, prefix + "input_layernorm.weight");
  post_attention_norm = load_vector(file, prefix + "post_attention_layernorm.weight");
  if (file.find(attention + "q_norm.weight")) {
    q_norm = load_vector(file, attention + "q_norm.weight");
    k_norm = load_vector(file, attention + "k_norm.weight");
  }
  q = load_linear(file, {attention + "q_proj"});
  kv = load_linear(file, {attention + "k_proj", attention + "v_proj"});
  o = load_linear(file, {attention + "o_proj"});
  gate_up = load_linear(file, {mlp + "gate_proj", mlp + "up_proj"});
  down = load_linear(file, {mlp + "down_proj"});
  if (file.find(prefix + "attention_conv.base_kernel")) attention_conv.emplace(file, prefix + "attention_conv.");
  if (file.find(prefix + "mlp_conv.base_kernel")) mlp_conv.emplace(file, prefix + "mlp_conv.");
}

DraftLayers::DraftLayers(const TensorFile& file, const ModelConfig& config, int64_t first_inputs,
                         const std::string& prefix)
    : hidden_size_(config.hidden_size),
      intermediate_size_(config.intermediate_size),
      num_heads_(config.num_attention_heads),
      num_kv_heads_(config.num_key_value_heads),
      head_dim_(config.head_dim),
      first_inputs_(first_inputs),
      eps_(static_cast<float>(config.rms_norm_eps)),
      scale_(static_cast<float>(1 / std::sqrt(static_cast<double>(config.head_dim)))),
      frequencies_(rotary_frequencies(config)) {
  if (config.hidden_act != "silu") {
    throw DataError(
        fmt::format("{}: transformer_layer_config: hidden_act: expected silu, the one activation that "
                    "proposing knows, found {}",
                    file.path().string(), config.hidden_act));
  }
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(file, config, prefix, i);
}

std::unique_ptr<KvPool> DraftLayers::make_kv_pool(int64_t num_caches) const {
  return std::make_unique<KvPool>(num_caches * static_cast<int64_t>(layers_.size()), num_kv_heads_, head_dim_);
}

void DraftLayers::first_input_norm(const float* x, int64_t num_rows, float* y) const {
  rms_norm(x, layers_.front().input_norm.data(), num_rows, hidden_size_, eps_, y);
}

void DraftLayers::set_positions(const std::vector<DraftRow>& rows) {
  positions_.clear();
  block_offsets_.clear();
  int64_t last = -1;
  for (const DraftRow& row : rows) {
    positions_.push_back(row.position);
    block_offsets_.push_back(row.block_offset);
    last = std::max(last, row.position);
  }
  grow_rope_table(rope_, frequencies_.values, frequencies_.attention_factor, last + 1);
}

void DraftLayers::store_context(const std::vector<DraftRow>& rows, const float* states) {
  first_cached_ = 0;
  set_positions(rows);
  for (const Layer& layer : layers_) store(layer, rows, states);
}

void DraftLayers::forward(std::vector<DraftRow>& rows, float* inputs, float* hidden, int64_t cache) {
  first_cached_ = cache * static_cast<int64_t>(layers_.size());
  set_positions(rows);
  for (const Layer& layer : layers_) {
    const bool first = layer.index == 0, last = layer.index + 1 == static_cast<int64_t>(layers_.size());
    const auto num_rows = static_cast<int64_t>(rows.size());
    const int64_t width = first ? first_inputs_ : hidden_size_;
    if (!first) {
      inputs = inputs_.at_least(num_rows * hidden_size_);
      rms_norm(hidden, layer.input_norm.data(), num_rows, hidden_size_, eps_, inputs);
    }
    if (layer.attention_conv) inputs = enter(*layer.attention_conv, inputs, attention_changes_);
    store(layer, rows, inputs);
    if (last) {
      if (layer.attention_conv) keep_wanted(rows, layer.attention_conv->num_changes(), attention_changes_.data());
      keep_wanted(rows, width, inputs);
      keep_wanted(rows, hidden_size_, hidden);
      std::erase_if(rows, [](const DraftRow& row) { return !row.wanted; });
      set_positions(rows);
    }
    if (!rows.empty()) transform(layer, rows, inputs, hidden);
  }
}

// kv row: Nk key heads, then Nk value heads.
void DraftLayers::store(const Layer& layer, const std::vector<DraftRow>& rows, const float* inputs) {
  const auto num_rows = static_cast<int64_t>(rows.size());
  const int64_t half = num_kv_heads_ * head_dim_, stride = 2 * half;
  float* kv = kv_.at_least(num_rows * stride);
  layer.kv.forward(inputs, num_rows, kv);
  for (int64_t m = 0; m < num_rows && !layer.k_norm.empty(); ++m) {
    float* keys = kv + m * stride;
    rms_norm(keys, layer.k_norm.data(), num_kv_heads_, head_dim_, eps_, keys);
  }
  apply_rope(kv, positions_.data(), num_rows, num_kv_heads_, head_dim_, stride, rope_);
  for (int64_t m = 0; m < num_rows; ++m) {
    rows[m].sequence->store(first_cached_ + layer.index, rows[m].slot, kv + m * stride, kv + m * stride + half);
  }
}

void DraftLayers::transform(const Layer& layer, const std::vector<DraftRow>& rows, const float* inputs, float* hidden) {
  const auto num_rows = static_cast<int64_t>(rows.size());
  const int64_t width = num_heads_ * head_dim_;
  float* q = q_.at_least(num_rows * width);
  layer.q.forward(inputs, num_rows, q);  // [M, N*H]
  if (!layer.q_norm.empty()) rms_norm(q, layer.q_norm.data(), num_rows * num_heads_, head_dim_, eps_, q);
  apply_rope(q, positions_.data(), num_rows, num_heads_, head_dim_, width, rope_);
  float* attended = attended_.at_least(num_rows * width);
  attend(layer, rows, q, attended);

  float* delta = delta_.at_least(num_rows * hidden_size_);
  layer.o.forward(attended, num_rows, delta);  // [M, D]
  float* normed = inputs_.at_least(num_rows * hidden_size_);
  if (layer.attention_conv) {
    leave(*layer.attention_conv, delta, attention_changes_, hidden);
    rms_norm(hidden, layer.post_attention_norm.data(), num_rows, hidden_size_, eps_, normed);
  } else {
    add_rms_norm(hidden, delta, layer.post_attention_norm.data(), num_rows, hidden_size_, eps_, normed);
  }
  if (layer.mlp_conv) normed = enter(*layer.mlp_conv, normed, mlp_changes_);
  float* gate_up = gate_up_.at_least(num_rows * 2 * intermediate_size_);
  layer.gate_up.forward(normed, num_rows, gate_up);
  float* activated = activated_.at_least(num_rows * intermediate_size_);
  silu_mul(gate_up, num_rows, intermediate_size_, activated);
  layer.down.forward(activated, num_rows, delta);
  if (layer.mlp_conv) return leave(*layer.mlp_conv, delta, mlp_changes_, hidden);
  add(hidden, delta, num_rows * hidden_size_);
}

float* DraftLayers::enter(const SlotConvolution& convolution, const float* normed, Buffer& changes) {
  const auto num_rows = static_cast<int64_t>(block_offsets_.size());
  float* to = changes.at_least(num_rows * convolution.num_changes());
  convolution.project(normed, num_rows, to);
  float* convolved = convolved_.at_least(num_rows * hidden_size_);
  convolution.enter(block_offsets_, normed, to, convolved);
  return convolved;
}

void DraftLayers::leave(const SlotConvolution& convolution, const float* made, const Buffer& changes, float* hidden) {
  convolution.leave(block_offsets_, made, changes.data(), hidden);
}

void DraftLayers::attend(const Layer& layer, const std::vector<DraftRow>& rows, const float* q, float* out) {
  attention_rows_.clear();
  for (const DraftRow& row : rows) {
    const int64_t begin = layer.sliding ? row.sliding_begin : 0;
    attention_rows_.push_back({row.sequence, begin, layer.sliding ? row.sliding_end : row.full_end});
  }
  attention(q, num_heads_ * head_dim_, attention_rows_, first_cached_ + layer.index, num_heads_, scale_, out);
}

}  // namespace speculators
