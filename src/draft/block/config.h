// What config.json says of a draft that fills blocks: the fields that the DFlash family shares.
// Source: reference algorithms.md 2.5.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/model_config.h"

namespace speculators {

struct BlockConfig {
  ModelConfig layer;                   // `transformer_layer_config`; Qwen3-style layers; layer_types and sliding_window
  int64_t draft_vocab_size = 0;        // V
  int64_t block_size = 8;              // L: anchor token + mask tokens
  std::vector<int64_t> aux_layer_ids;  // disk key `aux_hidden_state_layer_ids`
  int64_t mask_token_id = 0;
  bool sliding_window_non_causal = false;
  bool sample_from_anchor = false;  // the anchor's slot predicts too

  bool reduced_vocabulary() const { return draft_vocab_size != layer.vocab_size; }
  int64_t speculative_tokens() const { return sample_from_anchor ? block_size : block_size - 1; }
  int64_t num_aux() const { return static_cast<int64_t>(aux_layer_ids.size()); }
  int64_t first_predicting_slot() const { return sample_from_anchor ? 0 : 1; }
};

// What absent keys mean where the algorithms differ.
struct BlockDefaults {
  bool sample_from_anchor = false;
  bool sliding_window_non_causal = false;
};

// Throws DataError naming `place`.
BlockConfig parse_block_config(const Json& config, const ModelConfig& layer, const std::string& place,
                               BlockDefaults defaults);
Json to_json(const BlockConfig& config);

}  // namespace speculators
