#include "draft/layer_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"

namespace speculators {

bool is_sliding(const ModelConfig& layer, int64_t index) {
  return !layer.layer_types.empty() && layer.layer_types.at(index) == "sliding_attention";
}

bool has_sliding_layers(const ModelConfig& layer) {
  return std::find(layer.layer_types.begin(), layer.layer_types.end(), "sliding_attention") != layer.layer_types.end();
}

void check_draft_layers(const ModelConfig& layer, const std::string& place) {
  const std::string nested = place + ": transformer_layer_config";
  if (layer.num_hidden_layers < 1) {
    throw DataError(
        fmt::format("{}: num_hidden_layers: expected at least 1, found {}", nested, layer.num_hidden_layers));
  }
  if (layer.num_key_value_heads < 1 || layer.num_attention_heads % layer.num_key_value_heads != 0) {
    throw DataError(fmt::format("{}: num_attention_heads: expected a multiple of num_key_value_heads {}, found {}",
                                nested, layer.num_key_value_heads, layer.num_attention_heads));
  }
  if (layer.head_dim < 2 || layer.head_dim % 2 != 0) {
    throw DataError(fmt::format("{}: head_dim: expected an even number, found {}", nested, layer.head_dim));
  }
  const auto num_types = static_cast<int64_t>(layer.layer_types.size());
  if (num_types != 0 && num_types != layer.num_hidden_layers) {
    throw DataError(fmt::format("{}: layer_types: expected one entry for each of {} layers, found {}", nested,
                                layer.num_hidden_layers, num_types));
  }
  if (has_sliding_layers(layer) && layer.sliding_window.value_or(0) < 1) {
    throw DataError(fmt::format(
        "{}: sliding_window: expected a window of at least 1 for the sliding layers of layer_types, found {}; a Qwen3 "
        "config also needs use_sliding_window true",
        nested, layer.sliding_window ? std::to_string(*layer.sliding_window) : "none"));
  }
}

void check_draft_vocab_size(int64_t draft_vocab_size, const ModelConfig& layer, const std::string& place) {
  if (draft_vocab_size >= 1 && draft_vocab_size <= layer.vocab_size) return;
  throw DataError(fmt::format("{}: draft_vocab_size: expected 1 ... {} (the verifier's vocabulary), found {}", place,
                              layer.vocab_size, draft_vocab_size));
}

void check_target_hidden_size(std::optional<int64_t> target_hidden_size, const ModelConfig& layer,
                              const std::string& place) {
  if (!target_hidden_size || *target_hidden_size == layer.hidden_size) return;
  throw DataError(fmt::format("{}: target_hidden_size: expected the draft's hidden_size {}, found {}", place,
                              layer.hidden_size, *target_hidden_size));
}

void check_aux_layer_ids(const std::vector<int64_t>& ids, const std::string& place, int64_t num_verifier_layers) {
  const bool ascending = std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end();
  const bool inside =
      ids.empty() || (ids.front() >= 0 && (num_verifier_layers < 0 || ids.back() <= num_verifier_layers));
  if (ascending && inside) return;
  const std::string limit = num_verifier_layers < 0 ? "0 on" : fmt::format("0 to {}", num_verifier_layers);
  throw DataError(fmt::format("{}: expected ascending, distinct layer ids from {}, found [{}]", place, limit,
                              fmt::join(ids, ", ")));
}

std::vector<int64_t> default_aux_layer_ids(int64_t num_verifier_layers) {
  const int64_t n = num_verifier_layers;
  std::vector<int64_t> ids = {2, n / 2, n - 3};
  check_aux_layer_ids(ids, fmt::format("default aux layer ids of a verifier with {} layers (give them explicitly)", n),
                      n);
  return ids;
}

std::vector<int64_t> check_verifier(const fs::path& verifier_folder, const ModelConfig& layer,
                                    const std::vector<int64_t>& aux_layer_ids) {
  const ModelConfig verifier = read_model_config(verifier_folder);
  const auto expect = [&](const char* key, int64_t draft_value, int64_t verifier_value) {
    if (draft_value == verifier_value) return;
    throw DataError(
        fmt::format("{}: config.json: {}: expected {} as the draft has it, found {}; is this the speculator's "
                    "verifier?",
                    verifier_folder.string(), key, draft_value, verifier_value));
  };
  expect("hidden_size", layer.hidden_size, verifier.hidden_size);
  expect("vocab_size", layer.vocab_size, verifier.vocab_size);
  if (aux_layer_ids.empty()) return default_aux_layer_ids(verifier.num_hidden_layers);
  check_aux_layer_ids(aux_layer_ids, fmt::format("aux layer ids for {}", verifier_folder.string()),
                      verifier.num_hidden_layers);
  return aux_layer_ids;
}

}  // namespace speculators
