// DFlash config: the fields of config.json that are DFlash's own. Source: reference algorithms.md 2.5.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "checkpoint/model_config.h"

namespace speculators {

struct DFlashConfig {
  ModelConfig layer;                   // `transformer_layer_config`; Qwen3-style layers; layer_types and sliding_window
  int64_t draft_vocab_size = 0;        // V
  int64_t block_size = 8;              // L: anchor token + mask tokens
  std::vector<int64_t> aux_layer_ids;  // disk key `aux_hidden_state_layer_ids`
  int64_t mask_token_id = 0;
  bool sliding_window_non_causal = false;
  bool sample_from_anchor = false;  // the anchor's slot predicts too
  bool reduced_vocabulary() const { return draft_vocab_size != layer.vocab_size; }
  int64_t speculative_tokens() const { return sample_from_anchor ? block_size : block_size - 1; }
};

DFlashConfig parse_dflash_config(const Json& config, const ModelConfig& layer, const std::string& place);
Json to_json(const DFlashConfig& config);

}  // namespace speculators
