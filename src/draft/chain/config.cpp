#include "draft/chain/config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/layer_checks.h"

namespace speculators {

ChainConfig parse_chain_config(const Json& config, const ModelConfig& layer, bool default_embed_requires_grad,
                               const std::string& place) {
  const JsonObject fields(config, place);
  ChainConfig result;
  result.layer = layer;
  result.draft_vocab_size = fields.find_int("draft_vocab_size").value_or(kDefaultDraftVocabSize);
  result.aux_layer_ids = fields.find_ints("eagle_aux_hidden_state_layer_ids").value_or(std::vector<int64_t>{});
  result.norm_before_residual = fields.find_bool("norm_before_residual").value_or(false);
  result.norm_before_fc = fields.find_bool("norm_before_fc").value_or(false);
  result.fc_norm = fields.find_bool("fc_norm").value_or(false);
  result.norm_output = fields.find_bool("norm_output").value_or(false);
  result.embed_requires_grad = fields.find_bool("embed_requires_grad").value_or(default_embed_requires_grad);

  check_draft_layers(layer, place);
  check_draft_vocab_size(result.draft_vocab_size, layer, place);
  check_target_hidden_size(fields.find_int("target_hidden_size"), layer, place);
  check_aux_layer_ids(result.aux_layer_ids, fmt::format("{}: eagle_aux_hidden_state_layer_ids", place));
  if (result.norm_before_fc && result.fc_norm) {
    throw DataError(
        fmt::format("{}: expected at most one of norm_before_fc and fc_norm, found both; turn one off", place));
  }
  return result;
}

Json chain_fields(const ChainConfig& config) {
  Json fields = {
      {"draft_vocab_size", config.draft_vocab_size},
      {"eagle_aux_hidden_state_layer_ids", config.aux_layer_ids.empty() ? Json(nullptr) : Json(config.aux_layer_ids)},
      {"embed_requires_grad", config.embed_requires_grad},
      {"fc_norm", config.fc_norm},
      {"norm_before_fc", config.norm_before_fc},
      {"norm_before_residual", config.norm_before_residual},
      {"norm_output", config.norm_output},
      {"target_hidden_size", nullptr},
  };
  // vLLM's llama class assumes three aux layers unless the layer config says otherwise.
  const size_t num_aux = config.aux_layer_ids.size();
  if (num_aux != 0 && num_aux != 3) fields["transformer_layer_config"] = {{"num_aux_hidden_states", num_aux}};
  return fields;
}

}  // namespace speculators
