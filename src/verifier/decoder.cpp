#include "verifier/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/errors.h"

namespace speculators {
namespace {

void grow_to(AlignedVector<float>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(static_cast<size_t>(size));
}

ModelConfig check_config(ModelConfig config, const fs::path& folder) {
  if (config.hidden_act != "silu") {
    throw DataError(fmt::format("{}: hidden_act: expected silu, found {}; this model cannot be run here",
                                (folder / "config.json").string(), config.hidden_act));
  }
  return config;
}

}  // namespace

Decoder::Decoder(const fs::path& folder, ModelConfig config, const DecoderTraits& traits)
    : config_(check_config(std::move(config), folder)),
      weights_(load_decoder_weights(folder, config_, traits)),
      frequencies_(rotary_frequencies(config_)) {
  for (int64_t i = 0; i < config_.num_hidden_layers; ++i) has_sliding_layers_ |= is_sliding_layer(config_, i);
}

std::unique_ptr<KvPool> Decoder::make_kv_pool() const {
  return std::make_unique<KvPool>(config_.num_hidden_layers, config_.num_key_value_heads, config_.head_dim);
}

VerifierOutput Decoder::forward(const VerifierBatch& batch) {
  check(batch);
  place_rows(batch);
  const int64_t num_rows = rows_.size();
  const int64_t width = config_.hidden_size;
  const auto eps = static_cast<float>(config_.rms_norm_eps);
  activations_.grow(num_rows, config_);
  float* hidden = activations_.hidden.data();
  float* delta = activations_.delta.data();
  float* normed = activations_.normed.data();

  embed(batch);
  std::fill_n(delta, num_rows * width, 0.0f);  // the first layer has nothing to add yet
  for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    const DecoderLayerWeights& layer = weights_.layers[i];
    add_rms_norm(hidden, delta, layer.input_norm.data(), num_rows, width, eps, normed);
    keep_hidden(batch, i);
    attention_part(layer, config_, i, rows_, rope_, activations_);
    add_rms_norm(hidden, delta, layer.post_attention_norm.data(), num_rows, width, eps, normed);
    feed_forward_part(layer, config_, rows_, activations_);
  }
  add(hidden, delta, num_rows * width);
  keep_hidden(batch, config_.num_hidden_layers);

  const int64_t num_logit_rows = gather_logit_rows(batch);
  grow_to(logits_, num_logit_rows * config_.vocab_size);
  rms_norm(normed, weights_.final_norm.data(), num_logit_rows, width, eps, normed);
  weights_.lm_head.forward(normed, num_logit_rows, logits_.data());
  const auto num_kept = static_cast<int64_t>(batch.hidden_layer_ids.size());
  return {.logits = std::span(logits_).first(num_logit_rows * config_.vocab_size),
          .hidden_states = std::span(kept_hidden_).first(num_rows * num_kept * width)};
}

// Before anything changes, so that a refused batch leaves the caches as they were.
void Decoder::check(const VerifierBatch& batch) const {
  for (const int64_t id : batch.hidden_layer_ids) {
    if (id >= 0 && id <= config_.num_hidden_layers) continue;
    throw UsageError(fmt::format("verifier: layer id {} is outside [0, {}]", id, config_.num_hidden_layers));
  }
  for (const VerifierRows& rows : batch.sequences) {
    const int64_t length = rows.sequence->length() + static_cast<int64_t>(rows.token_ids.size());
    if (length > config_.max_position_embeddings) {
      throw UsageError(fmt::format("verifier: a sequence of {} tokens is longer than max_position_embeddings, {}",
                                   length, config_.max_position_embeddings));
    }
    for (const int32_t id : rows.token_ids) {
      if (id >= 0 && id < config_.vocab_size) continue;
      throw UsageError(
          fmt::format("verifier: token id {} is outside the vocabulary of {}; is this the right tokenizer?", id,
                      config_.vocab_size));
    }
  }
}

void Decoder::place_rows(const VerifierBatch& batch) {
  rows_.sequences.clear();
  rows_.positions.clear();
  rows_.causal.clear();
  rows_.sliding.clear();
  int64_t longest = 0;
  for (const VerifierRows& rows : batch.sequences) {
    const int64_t begin = rows.sequence->length();
    const int64_t end = begin + static_cast<int64_t>(rows.token_ids.size());
    rows.sequence->extend(end - begin);
    longest = std::max(longest, end);
    for (int64_t position = begin; position < end; ++position) {
      rows_.sequences.push_back(rows.sequence);
      rows_.positions.push_back(position);
      rows_.causal.push_back({rows.sequence, 0, position + 1});
      if (!has_sliding_layers_) continue;
      rows_.sliding.push_back(
          {rows.sequence, std::max<int64_t>(0, position + 1 - *config_.sliding_window), position + 1});
    }
  }
  grow_rope_table(rope_, frequencies_.values, frequencies_.attention_factor, longest);
}

void Decoder::embed(const VerifierBatch& batch) {
  float* row = activations_.hidden.data();
  for (const VerifierRows& rows : batch.sequences) {
    for (const int32_t id : rows.token_ids) {
      if (weights_.embed_tokens.empty()) {
        weights_.lm_head.copy_row(id, row);
      } else {
        const Bf16* source = weights_.embed_tokens.data() + id * config_.hidden_size;
        std::transform(source, source + config_.hidden_size, row, [](Bf16 value) { return to_float(value); });
      }
      row += config_.hidden_size;
    }
  }
}

void Decoder::keep_hidden(const VerifierBatch& batch, int64_t layer_id) {
  const int64_t width = config_.hidden_size;
  const auto num_kept = static_cast<int64_t>(batch.hidden_layer_ids.size());
  grow_to(kept_hidden_, rows_.size() * num_kept * width);
  for (int64_t column = 0; column < num_kept; ++column) {
    if (batch.hidden_layer_ids[column] != layer_id) continue;
    for (int64_t i = 0; i < rows_.size(); ++i) {
      std::copy_n(activations_.hidden.data() + i * width, width, kept_hidden_.data() + (i * num_kept + column) * width);
    }
  }
}

// Copies the rows whose logits are wanted, one behind the other, to `normed`. Returns their number.
int64_t Decoder::gather_logit_rows(const VerifierBatch& batch) {
  const int64_t width = config_.hidden_size;
  int64_t end = 0, count = 0;
  for (const VerifierRows& rows : batch.sequences) {
    end += static_cast<int64_t>(rows.token_ids.size());
    const int64_t wanted = std::min(rows.num_logit_rows, static_cast<int64_t>(rows.token_ids.size()));
    std::copy_n(activations_.hidden.data() + (end - wanted) * width, wanted * width,
                activations_.normed.data() + count * width);
    count += wanted;
  }
  return count;
}

}  // namespace speculators
