#include "tests/support/naive_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace speculators::testing {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

class Model {
 public:
  Model(const ModelConfig& config, const OwnedTensors& tensors) : config_(config) {
    for (const auto& [name, tensor] : tensors) weights_[name] = to_floats(tensor.view(), name);
  }

  Row embed(int32_t id) const { return row_of("model.embed_tokens.weight", id, config_.hidden_size); }

  Row linear(const std::string& name, const Row& x) const {
    const std::vector<float>& weight = weights_.at(name + ".weight");
    const auto bias = weights_.find(name + ".bias");
    const size_t num_outputs = weight.size() / x.size();
    Row y(num_outputs);
    for (size_t o = 0; o < num_outputs; ++o) {
      if (bias != weights_.end()) y[o] = bias->second[o];
      for (size_t i = 0; i < x.size(); ++i) y[o] += weight[o * x.size() + i] * x[i];
    }
    return y;
  }

  Row norm(const std::string& name, const Row& x) const {
    const std::vector<float>& weight = weights_.at(name + ".weight");
    double sum = 0;
    for (const double value : x) sum += value * value;
    const double scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + config_.rms_norm_eps);
    Row y = x;
    for (size_t i = 0; i < x.size(); ++i) y[i] *= scale * weight[i];
    return y;
  }

  // Heads of one position, normed where the model has such norms, and turned.
  Rows heads(const Row& x, const std::string& norm_name, int64_t position) const {
    Rows result;
    for (size_t begin = 0; begin < x.size(); begin += static_cast<size_t>(config_.head_dim)) {
      Row head(x.begin() + begin, x.begin() + begin + config_.head_dim);
      if (!norm_name.empty() && weights_.contains(norm_name + ".weight")) head = norm(norm_name, head);
      result.push_back(norm_name.empty() ? head : turn(head, position));
    }
    return result;
  }

  bool has(const std::string& name) const { return weights_.contains(name); }

 private:
  Row row_of(const std::string& name, int64_t row, int64_t width) const {
    const auto begin = weights_.at(name).begin() + row * width;
    return Row(begin, begin + width);
  }

  Row turn(const Row& head, int64_t position) const {
    const size_t half = head.size() / 2;
    Row turned = head;
    for (size_t i = 0; i < half; ++i) {
      const double exponent = static_cast<double>(2 * i) / static_cast<double>(head.size());
      const double angle =
          static_cast<double>(position) / std::pow(config_.rope.rope_theta, exponent) / config_.rope.factor.value_or(1);
      turned[i] = head[i] * std::cos(angle) - head[i + half] * std::sin(angle);
      turned[i + half] = head[i + half] * std::cos(angle) + head[i] * std::sin(angle);
    }
    return turned;
  }

  const ModelConfig& config_;
  std::map<std::string, std::vector<float>> weights_;
};

bool slides(const ModelConfig& config, int64_t layer) {
  return config.sliding_window && (config.layer_types.empty() || config.layer_types[layer] == "sliding_attention");
}

// One query head over the keys that it sees.
Row attend(const Row& query, const std::vector<Rows>& keys, const std::vector<Rows>& values, size_t kv_head,
           int64_t begin, int64_t end) {
  Row weights;
  for (int64_t j = begin; j < end; ++j) {
    double score = 0;
    for (size_t i = 0; i < query.size(); ++i) score += query[i] * keys[j][kv_head][i];
    weights.push_back(std::exp(score / std::sqrt(static_cast<double>(query.size()))));
  }
  double total = 0;
  for (const double weight : weights) total += weight;
  Row mixed(query.size());
  for (int64_t j = begin; j < end; ++j) {
    for (size_t i = 0; i < query.size(); ++i) mixed[i] += weights[j - begin] / total * values[j][kv_head][i];
  }
  return mixed;
}

void attention_layer(const Model& model, const ModelConfig& config, int64_t layer, Rows& hidden) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  const std::string attention = prefix + "self_attn.";
  const int64_t group = config.num_attention_heads / config.num_key_value_heads;
  std::vector<Rows> queries, keys, values;
  for (size_t t = 0; t < hidden.size(); ++t) {
    const Row x = model.norm(prefix + "input_layernorm", hidden[t]);
    const auto position = static_cast<int64_t>(t);
    queries.push_back(model.heads(model.linear(attention + "q_proj", x), attention + "q_norm", position));
    keys.push_back(model.heads(model.linear(attention + "k_proj", x), attention + "k_norm", position));
    values.push_back(model.heads(model.linear(attention + "v_proj", x), "", position));
  }
  for (size_t t = 0; t < hidden.size(); ++t) {
    const auto end = static_cast<int64_t>(t) + 1;
    const int64_t begin = slides(config, layer) ? std::max<int64_t>(0, end - *config.sliding_window) : 0;
    Row mixed;
    for (int64_t head = 0; head < config.num_attention_heads; ++head) {
      const Row one = attend(queries[t][head], keys, values, static_cast<size_t>(head / group), begin, end);
      mixed.insert(mixed.end(), one.begin(), one.end());
    }
    const Row delta = model.linear(attention + "o_proj", mixed);
    for (size_t i = 0; i < delta.size(); ++i) hidden[t][i] += delta[i];
  }
}

void feed_forward_layer(const Model& model, int64_t layer, Rows& hidden) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  for (Row& row : hidden) {
    const Row x = model.norm(prefix + "post_attention_layernorm", row);
    Row inner = model.linear(prefix + "mlp.gate_proj", x);
    const Row up = model.linear(prefix + "mlp.up_proj", x);
    for (size_t i = 0; i < inner.size(); ++i) inner[i] = inner[i] / (1 + std::exp(-inner[i])) * up[i];
    const Row delta = model.linear(prefix + "mlp.down_proj", inner);
    for (size_t i = 0; i < delta.size(); ++i) row[i] += delta[i];
  }
}

}  // namespace

NaiveOutput run_naive_decoder(const ModelConfig& config, const OwnedTensors& tensors,
                              std::span<const int32_t> token_ids) {
  const Model model(config, tensors);
  Rows hidden;
  for (const int32_t id : token_ids) hidden.push_back(model.embed(id));
  NaiveOutput output;
  output.hidden.push_back(hidden);
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    attention_layer(model, config, layer, hidden);
    feed_forward_layer(model, layer, hidden);
    output.hidden.push_back(hidden);
  }
  const std::string head = model.has("lm_head.weight") ? "lm_head" : "model.embed_tokens";
  for (const Row& row : hidden) output.logits.push_back(model.linear(head, model.norm("model.norm", row)));
  return output;
}

}  // namespace speculators::testing
