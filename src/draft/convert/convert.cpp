#include "draft/convert/convert.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "draft/convert/source.h"

namespace speculators {
namespace {

void check_is_foreign(const ForeignDraft& draft) {
  if (!draft.config.contains("speculators_model_type")) return;
  throw DataError(
      fmt::format("{}: expected a draft of another project, found a speculator already "
                  "(speculators_model_type \"{}\"); use it as it is, or --to for the way back",
                  draft.place, draft.config.value("speculators_model_type", "")));
}

// EAGLE-3 as its authors write it.
void write_eagle3(const Speculator& speculator, const TensorFile& file, const fs::path& folder) {
  Json config = to_json(speculator.layer_config);
  config["architectures"] = {"LlamaForCausalLMEagle3"};
  config["model_type"] = "llama";
  for (const char* key : {"draft_vocab_size", "norm_before_residual", "norm_before_fc", "fc_norm", "norm_output",
                          "eagle_aux_hidden_state_layer_ids", "dtype"}) {
    if (speculator.config.contains(key)) config[key] = speculator.config.at(key);
  }
  NamedTensors tensors;
  for (const auto& [name, tensor] : file.tensors()) {
    constexpr std::string_view kFirst = "layers.0.";
    tensors.emplace_back(name.starts_with(kFirst) ? "midlayer." + name.substr(kFirst.size()) : name, tensor);
  }
  write_json(folder / "config.json", config);
  write_safetensors(folder / "model.safetensors", tensors);
}

// DFlash as z-lab writes it. `num_target_layers` is the verifier's depth.
void write_dflash(const Speculator& speculator, const TensorFile& file, const fs::path& folder) {
  const JsonObject own(speculator.config, speculator.folder.string() + "/config.json");
  if (own.get_int("draft_vocab_size") != speculator.layer_config.vocab_size) {
    throw DataError(
        fmt::format("{}: draft_vocab_size: expected the whole vocabulary ({}), found {}; the format has no "
                    "reduced one",
                    own.place(), speculator.layer_config.vocab_size, own.get_int("draft_vocab_size")));
  }
  if (own.find_bool("sample_from_anchor").value_or(false)) {
    throw DataError(fmt::format("{}: sample_from_anchor: expected false, which is all the format knows", own.place()));
  }
  Json config = to_json(speculator.layer_config);
  config["architectures"] = {"DFlashDraftModel"};
  config["block_size"] = own.get_int("block_size");
  std::vector<int64_t> target_layer_ids = own.get_ints("aux_hidden_state_layer_ids");
  for (int64_t& id : target_layer_ids) --id;
  config["dflash_config"] = {{"mask_token_id", own.get_int("mask_token_id")}, {"target_layer_ids", target_layer_ids}};
  if (speculator.config.contains("dtype")) config["dtype"] = speculator.config.at("dtype");
  NamedTensors tensors;
  for (const auto& [name, tensor] : file.tensors()) {
    if (name != "embed_tokens.weight" && name != "lm_head.weight") tensors.emplace_back(name, tensor);
  }
  write_json(folder / "config.json", config);
  write_safetensors(folder / "model.safetensors", tensors);
}

}  // namespace

std::string find_foreign_algorithm(const fs::path& folder) {
  if (!fs::exists(folder / "config.json")) return "";
  const Json config = read_json(folder / "config.json");
  if (!config.is_object() || config.contains("speculators_model_type")) return "";
  const JsonObject top(config, (folder / "config.json").string());
  std::string classes;
  for (const std::string& name : top.find_strings("architectures").value_or(std::vector<std::string>{}))
    classes += name;
  if (top.has("dflash_config") || classes.find("DFlash") != std::string::npos) return "dflash";
  return classes.find("Eagle3") != std::string::npos ? "eagle3" : "";
}

ConvertNotes convert_to_speculator(const ConvertRequest& request, const fs::path& output) {
  if (request.algorithm != "eagle3" && request.algorithm != "dflash") {
    throw UsageError(fmt::format("--algorithm: expected eagle3 or dflash, found \"{}\"", request.algorithm));
  }
  ForeignDraft draft = read_foreign_draft(request.model);
  check_is_foreign(draft);
  const BoundVerifier verifier = read_bound_verifier(request.verifier);
  if (request.algorithm == "eagle3") {
    convert_eagle3(draft, verifier, request.overrides, output);
  } else {
    convert_dflash(draft, verifier, request.overrides, output);
  }
  return draft.notes;
}

ConvertNotes convert_from_speculator(const fs::path& folder, const fs::path& output) {
  const Speculator speculator = load_speculator(folder);
  const TensorFile file = TensorFile::open_folder(folder);
  if (speculator.algorithm != "eagle3" && speculator.algorithm != "dflash") {
    throw DataError(fmt::format("{}: {}: no other format is known; --to takes eagle3 and dflash", folder.string(),
                                speculator.algorithm));
  }
  write_folder(output, [&](const fs::path& temporary) {
    if (speculator.algorithm == "eagle3") {
      write_eagle3(speculator, file, temporary);
    } else {
      write_dflash(speculator, file, temporary);
    }
  });
  return {};
}

}  // namespace speculators
