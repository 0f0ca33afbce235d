// EAGLE-3 as SafeAILab, SpecForge and AngelSlim publish it: one layer named `midlayer`, config keys at the top level.
// Source: reference pipeline.md 4.1.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/errors.h"
#include "draft/convert/source.h"
#include "draft/verifier_tensors.h"
#include "draft/vocabulary_map.h"

namespace speculators {
namespace {

constexpr int64_t kSpeculativeTokens = 3;

int64_t verifier_vocab_size(const BoundVerifier& verifier) {
  return JsonObject(verifier.config, verifier.name + "/config.json").get_int("vocab_size");
}

// The keys of a Llama layer, with the defaults that upstream's converter gives absent ones.
Json layer_of(const ForeignDraft& draft, const BoundVerifier& verifier, int64_t vocab_size) {
  Json layer = {{"hidden_size", 4096},       {"intermediate_size", 11008}, {"num_hidden_layers", 1},
                {"num_attention_heads", 32}, {"num_key_value_heads", 8},   {"hidden_act", "silu"},
                {"rms_norm_eps", 1e-6},      {"initializer_range", 0.02},  {"attention_bias", false},
                {"mlp_bias", false},         {"rope_theta", 10000.0},      {"max_position_embeddings", 4096}};
  for (const char* key :
       {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "hidden_act", "rms_norm_eps", "initializer_range", "attention_bias", "mlp_bias", "rope_theta", "rope_scaling",
        "rope_parameters", "head_dim", "max_position_embeddings"}) {
    const auto found = draft.config.find(key);
    if (found != draft.config.end() && !found->is_null()) layer[key] = *found;
  }
  if (layer.contains("rope_parameters")) layer.erase("rope_theta");
  // Positions beyond the draft's own limit are reached while it drafts for a longer verifier.
  const JsonObject of_verifier(verifier.config, verifier.name + "/config.json");
  layer["max_position_embeddings"] = std::max(JsonObject(layer, draft.place).get_int("max_position_embeddings"),
                                              of_verifier.find_int("max_position_embeddings").value_or(4096));
  layer["vocab_size"] = vocab_size;
  layer["model_type"] = "llama";
  return layer;
}

// The ids ascend and are of the vocabulary, of the draft's part of it if that is known.
bool are_draft_ids(const std::vector<int64_t>& ids, const std::vector<int64_t>& members, int64_t vocab_size) {
  int64_t previous = -1;
  for (const int64_t id : ids) {
    if (id <= previous || id >= vocab_size || (!members.empty() && members[static_cast<size_t>(id)] == 0)) return false;
    previous = id;
  }
  return true;
}

// d2t as offsets and t2d as membership, whatever the source has: some store the ids themselves in d2t.
void complete_vocabulary(ForeignDraft& draft, int64_t vocab_size) {
  const TensorView* stored = draft.find("d2t");
  if (stored == nullptr) return;
  const TensorView* membership = draft.find("t2d");
  const auto members = membership == nullptr ? std::vector<int64_t>{} : to_ints(*membership, "t2d");
  VocabularyMap map;
  map.d2t = to_ints(*stored, "d2t");
  std::vector<int64_t> ids = map.d2t;
  for (size_t k = 0; k < ids.size(); ++k) ids[k] += static_cast<int64_t>(k);
  if (!are_draft_ids(ids, members, vocab_size) && are_draft_ids(map.d2t, members, vocab_size)) {
    ids = map.d2t;
    for (size_t k = 0; k < ids.size(); ++k) map.d2t[k] -= static_cast<int64_t>(k);
    draft.notes.push_back("d2t: held ids, written as offsets");
  }
  if (members.empty()) {
    map.t2d.resize(static_cast<size_t>(vocab_size));
    for (const int64_t id : ids) {
      if (id >= 0 && id < vocab_size) map.t2d[static_cast<size_t>(id)] = true;
    }
    draft.notes.push_back("t2d: made from d2t");
  }
  for (const int64_t member : members) map.t2d.push_back(member != 0);
  check_vocabulary_map(map, draft.file.path().string());
  draft.put("d2t", make_tensor({static_cast<int64_t>(map.d2t.size())}, std::span<const int64_t>(map.d2t)));
  draft.put("t2d", make_bool_tensor({static_cast<int64_t>(map.t2d.size())}, map.t2d));
}

void take_from_verifier(ForeignDraft& draft, const BoundVerifier& verifier, int64_t vocab_size, int64_t hidden_size) {
  const bool needs_embedding = draft.find("embed_tokens.weight") == nullptr;
  const bool needs_head = draft.find("lm_head.weight") == nullptr;
  if (!needs_embedding && !needs_head) return;
  const VerifierTensorViews views = find_verifier_tensors(verifier.file, vocab_size, hidden_size);
  if (needs_embedding) draft.tensors["embed_tokens.weight"] = views.embed_tokens;
  if (needs_head) draft.tensors["lm_head.weight"] = views.lm_head;
  if (needs_embedding) draft.notes.push_back("embed_tokens.weight: taken from the verifier");
  if (needs_head) draft.notes.push_back("lm_head.weight: taken from the verifier");
}

Json fields_of(const ForeignDraft& draft, const Json& overrides, int64_t draft_vocab_size, int64_t hidden_size) {
  Json fields = {{"draft_vocab_size", draft_vocab_size}, {"target_hidden_size", nullptr}};
  const JsonObject source(draft.config, draft.place);
  for (const char* key : {"norm_before_residual", "norm_before_fc", "fc_norm", "norm_output"}) {
    fields[key] = source.find_bool(key).value_or(false);
  }
  fields["embed_requires_grad"] = false;
  constexpr const char* kIds = "eagle_aux_hidden_state_layer_ids";
  const auto nested = source.find_object("eagle_config");
  std::optional<std::vector<int64_t>> ids = source.find_ints(kIds);
  if (!ids && nested) ids = nested->find_ints(kIds);
  fields[kIds] = ids ? Json(*ids) : Json(nullptr);
  apply_overrides(fields, overrides, {"norm_before_residual", "norm_before_fc", "fc_norm", "norm_output", kIds});
  const TensorView& fc = draft.get("fc.weight");
  const int64_t num_aux = fc.shape.size() == 2 && hidden_size > 0 ? fc.shape[1] / hidden_size : 0;
  if (fields[kIds].is_null() && num_aux != 3) {
    throw DataError(fmt::format(
        "{}: fc.weight takes {} aux layers, and the config does not say which; give them as --algorithm-kwargs "
        "'{{\"{}\": [...]}}'",
        draft.file.path().string(), num_aux, kIds));
  }
  if (num_aux != 3) fields["transformer_layer_config"] = {{"num_aux_hidden_states", num_aux}};
  return fields;
}

}  // namespace

void convert_eagle3(ForeignDraft& draft, const BoundVerifier& verifier, const Json& overrides, const fs::path& output) {
  draft.rename_prefix("model.", "");
  draft.rename_prefix("midlayer.", "layers.0.");
  draft.drop("rotary frequencies", [](const std::string& name) { return name.ends_with("rotary_emb.inv_freq"); });
  const TensorView* membership = draft.find("t2d");
  const bool sized = membership != nullptr && membership->shape.size() == 1;
  const int64_t vocab_size = sized ? membership->shape[0] : verifier_vocab_size(verifier);
  const Json layer = layer_of(draft, verifier, vocab_size);
  const int64_t hidden_size = JsonObject(layer, draft.place).get_int("hidden_size");
  take_from_verifier(draft, verifier, vocab_size, hidden_size);
  complete_vocabulary(draft, vocab_size);
  const TensorView& head = draft.get("lm_head.weight");
  const int64_t draft_vocab_size = head.shape.empty() ? 0 : head.shape[0];
  // A reduced head without a map of ids would be read as the first ids of the vocabulary.
  if (draft_vocab_size < vocab_size && draft.find("d2t") == nullptr) {
    throw DataError(fmt::format("{}: lm_head has {} of the verifier's {} ids and there is no d2t to say which",
                                draft.file.path().string(), draft_vocab_size, vocab_size));
  }
  save_converted(output, "eagle3", draft, verifier, layer, fields_of(draft, overrides, draft_vocab_size, hidden_size),
                 kSpeculativeTokens);
}

}  // namespace speculators
