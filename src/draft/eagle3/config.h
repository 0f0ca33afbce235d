// EAGLE-3 config: the fields of config.json that are EAGLE-3's own. Source: reference algorithms.md 2.5.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "checkpoint/model_config.h"

namespace speculators {

struct Eagle3Config {
  ModelConfig layer;                   // `transformer_layer_config`; model_type llama or qwen3
  int64_t draft_vocab_size = 0;        // V; equal to layer.vocab_size: no reduction
  std::vector<int64_t> aux_layer_ids;  // disk key `eagle_aux_hidden_state_layer_ids`
  bool norm_before_residual = false;   // residual = normed hidden in layer 0
  bool norm_before_fc = false;         // one RMSNorm over A*D before fc
  bool fc_norm = false;                // one RMSNorm per aux chunk; excludes norm_before_fc
  bool norm_output = false;            // the normed state is fed to the next step
  bool embed_requires_grad = false;
  bool reduced_vocabulary() const { return draft_vocab_size != layer.vocab_size; }
};

// Reads the fields out of a whole config.json (absent: the defaults above; a vocabulary of 32000) and validates.
// Throws DataError naming `place`.
Eagle3Config parse_eagle3_config(const Json& config, const ModelConfig& layer, const std::string& place);
// The fields as they go into config.json.
Json to_json(const Eagle3Config& config);

}  // namespace speculators
