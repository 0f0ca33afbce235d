// Weights of a Hugging Face decoder folder: what its config says must be there, checked as a whole before anything is
// loaded. HF tensor names exist only here.
// Dims: Dv hidden size, I intermediate size, N query heads, Nk key/value heads, H head dim, Vv vocabulary.
#pragma once

#include <string>
#include <vector>

#include "base/bf16.h"
#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"
#include "kernels/packed_linear.h"

namespace speculators {

// How the members of the family differ from each other.
struct DecoderTraits {
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norms = false;  // RMSNorm over each query and key head, before RoPE
};

// One decoder layer.
struct DecoderLayerWeights {
  std::vector<float> input_norm, post_attention_norm;  // [Dv]
  std::vector<float> q_norm, k_norm;                   // [H]; empty without qk_norms
  PackedLinear qkv;                                    // [(N + 2 Nk) * H, Dv]
  PackedLinear o_proj;                                 // [Dv, N * H]
  PackedLinear gate_up;                                // [2 I, Dv]
  PackedLinear down;                                   // [Dv, I]
};

struct DecoderWeights {
  std::vector<DecoderLayerWeights> layers;
  std::vector<float> final_norm;   // [Dv]
  PackedLinear lm_head;            // [Vv, Dv]
  std::vector<Bf16> embed_tokens;  // [Vv, Dv]; empty when tied: then the rows are lm_head's
  int64_t num_bytes() const;       // of what a decode step reads: everything but an untied embedding
};

// Throws DataError once, listing every tensor that is missing, unexpected, or of another shape or type.
DecoderWeights load_decoder_weights(const fs::path& folder, const ModelConfig& config, const DecoderTraits& traits);

}  // namespace speculators
