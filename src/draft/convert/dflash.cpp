// DFlash as z-lab publishes it, and its Laguna variant with fused projections. The tensors' names are ours already;
// embedding, head and final norm are the verifier's and are not written. Source: reference pipeline.md 4.3, 4.4.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/errors.h"
#include "draft/convert/source.h"
#include "draft/layer_checks.h"

namespace speculators {
namespace {

constexpr const char* kIds = "aux_hidden_state_layer_ids";

std::optional<int64_t> find_block_size(const JsonObject& source, const std::optional<JsonObject>& own) {
  std::optional<int64_t> size = source.find_int("block_size");
  if (!size && own) size = own->find_int("block_size");
  return size;
}

// z-lab counts decoder layers from 0, we count hidden states: the embedding's output is number 0. The last layer's
// states always come along, so it is no aux layer.
std::vector<int64_t> aux_layer_ids(const std::vector<int64_t>& target_layer_ids, int64_t num_verifier_layers) {
  std::vector<int64_t> ids;
  for (const int64_t layer : target_layer_ids) {
    if (layer + 1 != num_verifier_layers) ids.push_back(layer + 1);
  }
  return ids;
}

Json fields_of(const ForeignDraft& draft, const BoundVerifier& verifier, const Json& overrides) {
  const JsonObject source(draft.config, draft.place);
  const std::optional<JsonObject> own = source.find_object("dflash_config");
  const std::optional<int64_t> block_size = find_block_size(source, own);
  if (!block_size) {
    throw DataError(
        fmt::format("{}: expected block_size, at the top level or in dflash_config, found none; is this a "
                    "DFlash draft?",
                    draft.place));
  }
  Json fields = {{"block_size", *block_size},
                 {"draft_vocab_size", source.get_int("vocab_size")},
                 {"sample_from_anchor", false},
                 {"sliding_window_non_causal", false},
                 {"target_hidden_size", nullptr}};
  if (own && own->has("mask_token_id")) fields["mask_token_id"] = own->get_int("mask_token_id");
  if (own && own->has("target_layer_ids")) {
    const JsonObject of_verifier(verifier.config, verifier.name + "/config.json");
    fields[kIds] = aux_layer_ids(own->get_ints("target_layer_ids"), of_verifier.get_int("num_hidden_layers"));
  }
  apply_overrides(fields, overrides, {kIds, "mask_token_id", "sliding_window_non_causal"});
  if (!fields.contains(kIds)) {
    throw DataError(
        fmt::format("{}: expected dflash_config.target_layer_ids, found none; give them as "
                    "--algorithm-kwargs '{{\"{}\": [...]}}'",
                    draft.place, kIds));
  }
  return fields;
}

TensorView slice_rows(const TensorView& tensor, int64_t begin, int64_t count) {
  const auto row_bytes = static_cast<size_t>(tensor.shape[1] * size_of(tensor.dtype));
  return {tensor.dtype,
          {count, tensor.shape[1]},
          tensor.bytes.subspan(static_cast<size_t>(begin) * row_bytes, static_cast<size_t>(count) * row_bytes)};
}

// Laguna: q, k and v in one matrix, gates and norms that DFlash does not have, an fc that takes the last layer too.
void split_fused(ForeignDraft& draft, const ModelConfig& layer, int64_t num_aux) {
  const int64_t queries = layer.num_attention_heads * layer.head_dim;
  const int64_t keys = layer.num_key_value_heads * layer.head_dim;
  const auto sources = draft.tensors;
  for (const auto& [name, tensor] : sources) {
    const size_t at = name.find("qkv_proj");
    if (at == std::string::npos) continue;
    if (tensor.shape.size() != 2 || tensor.shape[0] != queries + 2 * keys) {
      throw DataError(fmt::format("{}: {}: expected {} rows (q, k, v by the head counts), found {}",
                                  draft.file.path().string(), name, queries + 2 * keys, shape_string(tensor.shape)));
    }
    draft.tensors.erase(name);
    int64_t begin = 0;
    for (const auto& [part, count] :
         {std::pair("q_proj", queries), std::pair("k_proj", keys), std::pair("v_proj", keys)}) {
      const std::string part_name = std::string(name).replace(at, 8, part);
      if (sources.contains(part_name)) {
        throw DataError(
            fmt::format("{}: expected either {} or {}, found both", draft.file.path().string(), name, part_name));
      }
      draft.tensors[part_name] = slice_rows(tensor, begin, count);
      begin += count;
    }
    draft.notes.push_back(fmt::format("{}: split into q, k and v", name));
  }
  draft.drop("gates and aux norms", [](const std::string& name) {
    return name.find(".g_proj.") != std::string::npos || name.starts_with("aux_hidden_norms.");
  });
  const TensorView fc = draft.get("fc.weight");
  const int64_t width = num_aux * layer.hidden_size;
  if (fc.shape.size() != 2 || fc.shape[1] <= width) return;
  Tensor sliced{fc.dtype, {fc.shape[0], width}, {}};
  const auto stride = static_cast<size_t>(fc.shape[1] * size_of(fc.dtype));
  const auto kept = static_cast<size_t>(width * size_of(fc.dtype));
  for (int64_t row = 0; row < fc.shape[0]; ++row) {
    const auto bytes = fc.bytes.subspan(static_cast<size_t>(row) * stride, kept);
    sliced.bytes.insert(sliced.bytes.end(), bytes.begin(), bytes.end());
  }
  draft.put("fc.weight", std::move(sliced));
  draft.notes.push_back(fmt::format("fc.weight: the first {} of {} inputs kept", width, fc.shape[1]));
}

}  // namespace

void convert_dflash(ForeignDraft& draft, const BoundVerifier& verifier, const Json& overrides, const fs::path& output) {
  Json fields = fields_of(draft, verifier, overrides);
  Json layer = draft.config;
  for (const char* key : {"architectures", "auto_map", "block_size", "dflash_config", "num_target_layers"}) {
    layer.erase(key);
  }
  const ModelConfig parsed = parse_model_config(layer, draft.place);
  // vLLM takes false as causal everywhere, also where there is no window.
  if (!has_sliding_layers(parsed)) fields["sliding_window_non_causal"] = true;
  const int64_t verifier_width = JsonObject(verifier.config, verifier.name + "/config.json").get_int("hidden_size");
  if (verifier_width != parsed.hidden_size) {
    throw DataError(
        fmt::format("{}: hidden_size: expected the verifier's, {} ({}), found {}; is it another verifier's "
                    "draft?",
                    draft.place, verifier_width, verifier.name, parsed.hidden_size));
  }
  draft.drop("d2t and t2d", [](const std::string& name) { return name == "d2t" || name == "t2d"; });
  const bool is_fused = std::ranges::any_of(
      draft.tensors, [](const auto& item) { return item.first.find("qkv_proj") != std::string::npos; });
  if (is_fused) split_fused(draft, parsed, static_cast<int64_t>(fields.at(kIds).size()));
  draft.drop("embedding and head (the verifier's)",
             [](const std::string& name) { return name == "embed_tokens.weight" || name == "lm_head.weight"; });
  save_converted(output, "dflash", draft, verifier, layer, fields, fields.at("block_size").get<int64_t>() - 1);
}

}  // namespace speculators
