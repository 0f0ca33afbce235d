#include "draft/xpress/refiner.h"

#include <fmt/format.h>

#include <algorithm>

#include "draft/load_weights.h"
#include "kernels/ops.h"

namespace speculators {
namespace {

constexpr const char* kTokenEmbed = "refiner_head.token_embed.weight";

// The channel comes last, so that mixing runs along it.
std::vector<float> load_mix(const TensorFile& weights, int64_t rank, int64_t block_size) {
  const std::vector<float> stored = load_vector(weights, "refiner_head.mix_l");  // [r, L, L]
  const int64_t num_pairs = block_size * block_size;
  std::vector<float> result(stored.size());
  for (int64_t channel = 0; channel < rank; ++channel) {
    for (int64_t pair = 0; pair < num_pairs; ++pair) result[pair * rank + channel] = stored[channel * num_pairs + pair];
  }
  return result;
}

}  // namespace

Refiner::Refiner(const TensorFile& weights, const XPressConfig& config)
    : rank_(config.xpress_rank),
      mlp_width_(config.mlp_width()),
      block_size_(config.block_size),
      hidden_size_(config.layer.hidden_size),
      token_embed_(weights.get(kTokenEmbed), fmt::format("{}: {}", weights.path().string(), kTokenEmbed)),
      down_h_(load_linear(weights, {"refiner_head.down_h"})),
      down_g_(load_linear(weights, {"refiner_head.down_g"})),
      in_proj_(load_linear(weights, {"refiner_head.in_proj"})),
      gate_up_(load_linear(weights, {"refiner_head.mlp_gate", "refiner_head.mlp_up"})),
      down_(load_linear(weights, {"refiner_head.mlp_down"})),
      readout_(load_linear(weights, {"refiner_head.readout"})),
      mix_(load_mix(weights, rank_, block_size_)) {}

void Refiner::read_block(const float* states, float* features) {
  float* mean = mean_.at_least(hidden_size_);
  std::fill_n(mean, hidden_size_, 0.0f);
  for (int64_t slot = 0; slot < block_size_; ++slot) add(mean, states + slot * hidden_size_, hidden_size_);
  for (int64_t i = 0; i < hidden_size_; ++i) mean[i] /= static_cast<float>(block_size_);
  float* projected = projected_.at_least((block_size_ + 1) * rank_);  // of the states, then of their mean
  down_h_.forward(states, block_size_, projected);
  const float* of_mean = projected + block_size_ * rank_;
  down_g_.forward(mean, 1, projected + block_size_ * rank_);
  for (int64_t slot = 0; slot < block_size_; ++slot) {
    features = std::copy_n(projected + slot * rank_, rank_, features);
    features = std::copy_n(of_mean, rank_, features);
  }
}

void Refiner::fill_inputs(std::span<const RefinerRow> rows) {
  const auto num_rows = static_cast<int64_t>(rows.size());
  float* input = inputs_.at_least(num_rows * 3 * rank_);
  for (const RefinerRow& row : rows) {
    input = std::copy_n(row.features + row.slot * 2 * rank_, 2 * rank_, input);
    token_embed_.copy_finite_row(row.previous, input);
    input += rank_;
  }
  float* output = outputs_.at_least(num_rows * rank_);
  in_proj_.forward(inputs_.data(), num_rows, output);
  for (const RefinerRow& row : rows) {
    std::copy_n(output, rank_, row.inputs + row.slot * rank_);
    output += rank_;
  }
}

void Refiner::mix(const RefinerRow& row, float* x) const {
  std::copy_n(row.inputs + row.slot * rank_, rank_, x);
  const float* weights = mix_.data() + row.slot * block_size_ * rank_;
  for (int64_t key = 0; key <= row.slot; ++key) {
    const float* input = row.inputs + key * rank_;
    for (int64_t i = 0; i < rank_; ++i) x[i] += weights[i] * input[i];
    weights += rank_;
  }
}

void Refiner::refine(std::span<const RefinerRow> rows) {
  fill_inputs(rows);
  wanted_.clear();
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(wanted_), [](const RefinerRow& row) { return row.logits; });
  if (wanted_.empty()) return;
  const auto num_rows = static_cast<int64_t>(wanted_.size());
  float* x = x_.at_least(num_rows * rank_);
  for (int64_t i = 0; i < num_rows; ++i) mix(wanted_[i], x + i * rank_);
  float* gates = gates_.at_least(num_rows * 2 * mlp_width_);
  gate_up_.forward(x, num_rows, gates);
  float* activated = activated_.at_least(num_rows * mlp_width_);
  silu_mul(gates, num_rows, mlp_width_, activated);
  float* delta = outputs_.at_least(num_rows * rank_);
  down_.forward(activated, num_rows, delta);
  add(x, delta, num_rows * rank_);
  const int64_t vocab = readout_.num_outputs();
  float* bias = bias_.at_least(num_rows * vocab);
  readout_.forward(x, num_rows, bias);
  for (const RefinerRow& row : wanted_) {
    std::copy_n(row.base, vocab, row.logits);
    add(row.logits, bias, vocab);
    bias += vocab;
  }
}

}  // namespace speculators
