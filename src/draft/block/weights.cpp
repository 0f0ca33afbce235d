#include "draft/block/weights.h"

#include <fmt/format.h>

namespace speculators {

WeightTable block_weight_table(const BlockConfig& config) {
  const int64_t hidden = config.layer.hidden_size, num_aux = config.num_aux();
  WeightTable table;
  // Files of releases before 0.8 are complete; what they hold is a copy of the verifier's.
  table.push_back(
      {"embed_tokens.weight", {config.layer.vocab_size, hidden}, WeightType::kFloat, WeightPresence::kNever});
  table.push_back({"fc.weight", {hidden, num_aux * hidden}});
  table.push_back({"hidden_norm.weight", {hidden}});
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    append_layer_weights(table, config.layer, fmt::format("layers.{}.", i), hidden, /*has_qk_norms=*/true);
  }
  table.push_back({"norm.weight", {hidden}});
  append_vocabulary_weights(table, config.layer, config.draft_vocab_size, WeightPresence::kNever);
  return table;
}

}  // namespace speculators
