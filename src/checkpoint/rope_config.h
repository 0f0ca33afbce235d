// The RoPE part of a Hugging Face config.json, in both dialects. Internal to checkpoint/; see model_config.h.
// Source: reference algorithms.md 2.4; transformers 5, modeling_rope_utils.
#pragma once

#include "base/json.h"
#include "checkpoint/model_config.h"

namespace speculators {

// `config` is the object that holds `rope_parameters`, or `rope_theta` and `rope_scaling`.
// Throws DataError for an unknown kind of RoPE, a missing number of a known kind, or one out of range.
RopeParameters parse_rope(const JsonObject& config, int64_t max_position_embeddings);
Json rope_to_json(const RopeParameters& rope);

}  // namespace speculators
