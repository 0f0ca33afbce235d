#include "draft/mtp/weights.h"

namespace speculators {

WeightTable mtp_weights(const MtpConfig& config) {
  const std::string prefix = kMtpLayer;
  const ModelConfig layer = config.layer();
  const int64_t hidden = layer.hidden_size;
  WeightTable table = {
      {prefix + "hidden_layernorm.weight", {hidden}},
      {prefix + "token_layernorm.weight", {hidden}},
      {prefix + "input_proj.weight", {hidden, 2 * hidden}},  // [embedding ; hidden]
  };
  append_layer_weights(table, layer, prefix, hidden, layer.model_type == "qwen3");
  table.push_back({prefix + "final_layernorm.weight", {hidden}});
  // The verifier's; some writers leave copies behind (upstream's converter even one that was never filled).
  for (const char* name : {"embed_tokens.weight", "lm_head.weight", "verifier_lm_head.weight"}) {
    table.push_back({name, {layer.vocab_size, hidden}, WeightType::kFloat, WeightPresence::kNever});
  }
  return table;
}

}  // namespace speculators
