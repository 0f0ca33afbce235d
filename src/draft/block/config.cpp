#include "draft/block/config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/layer_checks.h"

namespace speculators {
namespace {

void check_block(const BlockConfig& config, const std::string& place) {
  const int64_t smallest = config.first_predicting_slot() + 1;
  if (config.block_size < smallest) {
    throw DataError(fmt::format("{}: block_size: expected at least {}, found {}", place, smallest, config.block_size));
  }
  if (config.mask_token_id < 0 || config.mask_token_id >= config.layer.vocab_size) {
    throw DataError(fmt::format("{}: mask_token_id: expected an id in [0, {}), found {}", place,
                                config.layer.vocab_size, config.mask_token_id));
  }
}

}  // namespace

BlockConfig parse_block_config(const Json& config, const ModelConfig& layer, const std::string& place,
                               BlockDefaults defaults) {
  const JsonObject fields(config, place);
  BlockConfig result;
  result.layer = layer;
  result.draft_vocab_size = fields.find_int("draft_vocab_size").value_or(kDefaultDraftVocabSize);
  result.block_size = fields.find_int("block_size").value_or(8);
  result.aux_layer_ids = fields.get_ints("aux_hidden_state_layer_ids");  // its length sizes fc: no default
  result.mask_token_id = fields.get_int("mask_token_id");
  result.sliding_window_non_causal =
      fields.find_bool("sliding_window_non_causal").value_or(defaults.sliding_window_non_causal);
  result.sample_from_anchor = fields.find_bool("sample_from_anchor").value_or(defaults.sample_from_anchor);

  check_draft_layers(layer, place);
  check_draft_vocab_size(result.draft_vocab_size, layer, place);
  check_target_hidden_size(fields.find_int("target_hidden_size"), layer, place);
  if (result.aux_layer_ids.empty()) {
    throw DataError(fmt::format("{}: aux_hidden_state_layer_ids: expected at least one layer id, found []", place));
  }
  check_aux_layer_ids(result.aux_layer_ids, fmt::format("{}: aux_hidden_state_layer_ids", place));
  check_block(result, place);
  return result;
}

Json to_json(const BlockConfig& config) {
  // Full layers are bidirectional whatever the flag says, but vLLM takes false as "causal everywhere": a draft without
  // sliding layers is written with true.
  const bool non_causal = config.sliding_window_non_causal || !has_sliding_layers(config.layer);
  return {
      {"aux_hidden_state_layer_ids", config.aux_layer_ids},
      {"block_size", config.block_size},
      {"draft_vocab_size", config.draft_vocab_size},
      {"mask_token_id", config.mask_token_id},
      {"sample_from_anchor", config.sample_from_anchor},
      {"sliding_window_non_causal", non_causal},
      {"target_hidden_size", nullptr},
  };
}

}  // namespace speculators
