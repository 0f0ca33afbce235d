#include "draft/chain/weights.h"

#include <fmt/format.h>

namespace speculators {

WeightTable chain_weight_table(const ChainConfig& config) {
  const int64_t hidden = config.layer.hidden_size, num_aux = config.num_aux();
  const bool has_qk_norms = config.layer.model_type == "qwen3";
  WeightTable table;
  table.push_back(
      {"embed_tokens.weight", {config.layer.vocab_size, hidden}, WeightType::kFloat, WeightPresence::kOnlyWhenSaving});
  table.push_back({"fc.weight", {hidden, num_aux * hidden}});
  if (config.norm_before_fc) table.push_back({"input_norm.weight", {num_aux * hidden}});
  for (int64_t j = 0; config.fc_norm && j < num_aux; ++j) {
    table.push_back({fmt::format("fc_norm.{}.weight", j), {hidden}});
  }
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    const std::string prefix = fmt::format("layers.{}.", i);
    append_layer_weights(table, config.layer, prefix, i == 0 ? 2 * hidden : hidden, has_qk_norms);
    if (i == 0) table.push_back({prefix + "hidden_norm.weight", {hidden}});
  }
  table.push_back({"norm.weight", {hidden}});
  append_vocabulary_weights(table, config.layer, config.draft_vocab_size, WeightPresence::kOnlyWhenSaving);
  return table;
}

}  // namespace speculators
