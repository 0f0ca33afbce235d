#include "verifier/llama.h"

#include "verifier/decoder.h"

namespace speculators {

std::unique_ptr<Verifier> load_llama(const fs::path& folder, const ModelConfig& config) {
  const DecoderTraits traits{
      .qkv_bias = config.attention_bias, .o_bias = config.attention_bias, .mlp_bias = config.mlp_bias};
  return std::make_unique<Decoder>(folder, config, traits);
}

}  // namespace speculators
