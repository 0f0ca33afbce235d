#include "draft/dspark/heads.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "draft/load_weights.h"

namespace speculators {
namespace {

constexpr const char* kW1 = "markov_head.markov_w1.weight";

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

PackedLinear load_mix(const TensorFile& weights, MarkovHeadType type) {
  if (type == MarkovHeadType::kVanilla) return {};
  return load_linear(weights, {type == MarkovHeadType::kGated ? "markov_head.gate_proj" : "markov_head.joint_proj"});
}

}  // namespace

MarkovHead::MarkovHead(const TensorFile& weights, const DSparkConfig& config)
    : type_(config.markov_head_type),
      rank_(config.markov_rank),
      hidden_size_(config.layer.hidden_size),
      w1_(weights.get(kW1), fmt::format("{}: {}", weights.path().string(), kW1)),
      w2_(load_linear(weights, {"markov_head.markov_w2"})),
      mix_(load_mix(weights, type_)) {}

void MarkovHead::factors(const std::vector<HeadRow>& rows, float* factors) {
  if (type_ == MarkovHeadType::kGated) return gated_factors(rows, factors);
  if (type_ == MarkovHeadType::kRnn) return recurrent_factors(rows, factors);
  for (const HeadRow& row : rows) factors = std::copy_n(row.embedding, rank_, factors);
}

void MarkovHead::gated_factors(const std::vector<HeadRow>& rows, float* factors) {
  const auto num_rows = static_cast<int64_t>(rows.size());
  float* input = inputs_.at_least(num_rows * mix_.num_inputs());  // [h; w]
  for (const HeadRow& row : rows) {
    input = std::copy_n(row.state, hidden_size_, input);
    input = std::copy_n(row.embedding, rank_, input);
  }
  mix_.forward(inputs_.data(), num_rows, factors);
  for (const HeadRow& row : rows) {
    for (int64_t i = 0; i < rank_; ++i) factors[i] = sigmoid(factors[i]) * row.embedding[i];
    factors += rank_;
  }
}

void MarkovHead::recurrent_factors(const std::vector<HeadRow>& rows, float* factors) {
  const auto num_rows = static_cast<int64_t>(rows.size());
  float* input = inputs_.at_least(num_rows * mix_.num_inputs());  // [memory; w; h]
  for (const HeadRow& row : rows) {
    input = std::copy_n(row.memory, rank_, input);
    input = std::copy_n(row.embedding, rank_, input);
    input = std::copy_n(row.state, hidden_size_, input);
  }
  const float* mixed = mixed_.at_least(num_rows * 3 * rank_);  // [gate; candidate; output]
  mix_.forward(inputs_.data(), num_rows, mixed_.data());
  for (const HeadRow& row : rows) {
    for (int64_t i = 0; i < rank_; ++i) {
      const float gate = sigmoid(mixed[i]);
      row.memory[i] = gate * row.memory[i] + (1 - gate) * std::tanh(mixed[rank_ + i]);
      factors[i] = std::tanh(mixed[2 * rank_ + i]);
    }
    mixed += 3 * rank_;
    factors += rank_;
  }
}

ConfidenceHead::ConfidenceHead(const TensorFile& weights, const DSparkConfig& config)
    : hidden_size_(config.layer.hidden_size),
      weight_(load_vector(weights, "confidence_head.proj.weight")),
      bias_(load_vector(weights, "confidence_head.proj.bias").at(0)) {}

float ConfidenceHead::chance(const HeadRow& row) const {
  float logit = bias_;
  for (int64_t i = 0; i < hidden_size_; ++i) logit += weight_[i] * row.state[i];
  const auto num_inputs = static_cast<int64_t>(weight_.size());
  for (int64_t i = hidden_size_; i < num_inputs; ++i) logit += weight_[i] * row.embedding[i - hidden_size_];
  return sigmoid(logit);
}

}  // namespace speculators
