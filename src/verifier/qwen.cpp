#include "verifier/qwen.h"

#include "verifier/decoder.h"

namespace speculators {

std::unique_ptr<Verifier> load_qwen3(const fs::path& folder, const ModelConfig& config) {
  const DecoderTraits traits{.qkv_bias = config.attention_bias, .o_bias = config.attention_bias, .qk_norms = true};
  return std::make_unique<Decoder>(folder, config, traits);
}

std::unique_ptr<Verifier> load_qwen2(const fs::path& folder, const ModelConfig& config) {
  return std::make_unique<Decoder>(folder, config, DecoderTraits{.qkv_bias = true});
}

}  // namespace speculators
