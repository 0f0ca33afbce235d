// What EAGLE-3 and P-EAGLE have in common in config.json: P-EAGLE's config extends EAGLE-3's.
// Source: reference algorithms.md 2.5.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "checkpoint/model_config.h"

namespace speculators {

struct ChainConfig {
  ModelConfig layer;                   // `transformer_layer_config`; model_type llama or qwen3
  int64_t draft_vocab_size = 0;        // V; equal to layer.vocab_size: no reduction
  std::vector<int64_t> aux_layer_ids;  // disk key `eagle_aux_hidden_state_layer_ids`
  bool norm_before_residual = false;   // residual = normed hidden in layer 0
  bool norm_before_fc = false;         // one RMSNorm over A*D before fc
  bool fc_norm = false;                // one RMSNorm per aux chunk; excludes norm_before_fc
  bool norm_output = false;            // the normed state is fed to the next step (EAGLE-3)
  bool embed_requires_grad = false;    // the embedding is trained (P-EAGLE; without effect in EAGLE-3)
  bool reduced_vocabulary() const { return draft_vocab_size != layer.vocab_size; }
  // A; an absent list of aux layer ids means three.
  int64_t num_aux() const { return aux_layer_ids.empty() ? 3 : static_cast<int64_t>(aux_layer_ids.size()); }
  int64_t aux_width() const { return num_aux() * layer.hidden_size; }  // A*D
};

// Reads the fields out of a whole config.json (absent: the defaults above; a vocabulary of 32000) and validates.
// Throws DataError naming `place`.
ChainConfig parse_chain_config(const Json& config, const ModelConfig& layer, bool default_embed_requires_grad,
                               const std::string& place);
// The fields as they go into config.json.
Json chain_fields(const ChainConfig& config);

}  // namespace speculators
