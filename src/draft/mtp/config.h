// MTP config: the verifier's decoder config as it is, and one field of its own. Source: reference algorithms.md 2.5,
// 9 (upstream models/mtp).
#pragma once

#include <cstdint>

#include "base/json.h"
#include "checkpoint/model_config.h"

namespace speculators {

struct MtpConfig {
  // `transformer_layer_config`: the verifier's, so num_hidden_layers counts the verifier's layers. model_type llama or
  // qwen3.
  ModelConfig verifier;
  // Whether step 0 reads the verifier's last hidden state behind its final norm, as vLLM hands it to native heads; else
  // the state before it, as upstream trains. Our own field of config.json, written only when true.
  bool normed_hidden_states = false;

  // The one decoder layer of the head: full attention, whatever the verifier's layers do.
  ModelConfig layer() const;
};

// Reads the fields out of a whole config.json and validates. Throws DataError naming `place`.
MtpConfig parse_mtp_config(const Json& config, const ModelConfig& layer, const std::string& place);
// The fields as they go into config.json.
Json to_json(const MtpConfig& config);

}  // namespace speculators
