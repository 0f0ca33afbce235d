#include "draft/speculator.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "draft/draft_algorithm.h"

namespace speculators {
namespace {

constexpr const char* kSpeculatorsVersion = "0.9.0";    // the format's version: that of upstream
constexpr const char* kTransformersVersion = "5.19.0";  // the config dialect that we write

std::vector<std::string> algorithm_names() {
  std::vector<std::string> names;
  for (const DraftAlgorithm& algorithm : draft_algorithms()) names.emplace_back(algorithm.name);
  return names;
}

void check_algorithm(const JsonObject& top, const std::string& algorithm) {
  if (!find_draft_algorithm(algorithm)) {
    throw DataError(fmt::format("{}: speculators_model_type: expected one of {}, found \"{}\"", top.place(),
                                fmt::join(algorithm_names(), ", "), algorithm));
  }
  if (top.has("model_type")) {
    throw DataError(
        fmt::format("{}: model_type: expected no such key at the top level (vLLM then takes the folder for an "
                    "ordinary model), found one; remove it",
                    top.place()));
  }
}

// K of the method that `default_proposal_method` names.
int64_t read_speculative_tokens(const JsonObject& speculators_config) {
  const std::string wanted = speculators_config.get_string("default_proposal_method");
  const auto methods = speculators_config.value().find("proposal_methods");
  if (methods == speculators_config.value().end() || !methods->is_array() || methods->empty()) {
    throw DataError(
        fmt::format("{}: proposal_methods: expected a list of at least one method", speculators_config.place()));
  }
  for (size_t i = 0; i < methods->size(); ++i) {
    const JsonObject method((*methods)[i], fmt::format("{}: proposal_methods[{}]", speculators_config.place(), i));
    if (method.find_string("proposal_type").value_or("greedy") != wanted) continue;
    const int64_t tokens = method.find_int("speculative_tokens").value_or(5);
    if (tokens >= 1) return tokens;
    throw DataError(fmt::format("{}: speculative_tokens: expected at least 1, found {}", method.place(), tokens));
  }
  throw DataError(
      fmt::format("{}: default_proposal_method: expected the proposal_type of one of proposal_methods, found "
                  "\"{}\"",
                  speculators_config.place(), wanted));
}

Json sort_keys(const Json& value) {
  if (value.is_array()) {
    Json sorted = Json::array();
    for (const Json& item : value) sorted.push_back(sort_keys(item));
    return sorted;
  }
  if (!value.is_object()) return value;
  std::map<std::string, const Json*> items;
  for (const auto& [key, item] : value.items()) items.emplace(key, &item);
  Json sorted = Json::object();
  for (const auto& [key, item] : items) sorted[key] = sort_keys(*item);
  return sorted;
}

// Makes the set of keys that of Hugging Face's llama or qwen3 class; nothing in this program reads these.
void add_class_defaults(Json& layer) {
  const auto add = [&](const char* key, const Json& value) {
    if (!layer.contains(key)) layer[key] = value;
  };
  if (layer.value("model_type", "") == "llama") add("pretraining_tp", 1);
  if (layer.value("model_type", "") == "qwen3") add("max_window_layers", 28);
  if (layer.value("model_type", "") != "llama") layer.erase("mlp_bias");
}

Json layer_config_json(const Speculator& speculator, const Json& algorithm_fields) {
  Json layer = to_json(speculator.layer_config);
  layer.erase("architectures");
  layer["tie_word_embeddings"] = false;
  add_class_defaults(layer);
  const auto extra = algorithm_fields.find("transformer_layer_config");
  if (extra != algorithm_fields.end()) layer.update(*extra);
  return layer;
}

Json speculators_config_json(const Speculator& speculator) {
  const std::string& name = speculator.verifier_name_or_path;
  return {
      {"algorithm", speculator.algorithm},
      {"default_proposal_method", "greedy"},
      {"proposal_methods", Json::array({{{"accept_tolerance", 0.0},
                                         {"proposal_type", "greedy"},
                                         {"speculative_tokens", speculator.speculative_tokens},
                                         {"verifier_accept_k", 1}}})},
      {"verifier",
       {{"architectures", speculator.verifier_architectures},
        {"name_or_path", name.empty() ? Json(nullptr) : Json(name)}}},
  };
}

}  // namespace

Speculator parse_speculator(const Json& config, const std::string& place) {
  const JsonObject top(config, place);
  Speculator result;
  result.config = config;
  result.algorithm = top.get_string("speculators_model_type");
  check_algorithm(top, result.algorithm);
  const JsonObject speculators_config = top.get_object("speculators_config");
  if (const std::string inner = speculators_config.get_string("algorithm"); inner != result.algorithm) {
    throw DataError(fmt::format("{}: algorithm: expected \"{}\" as in speculators_model_type, found \"{}\"",
                                speculators_config.place(), result.algorithm, inner));
  }
  result.speculative_tokens = read_speculative_tokens(speculators_config);
  const JsonObject verifier = speculators_config.get_object("verifier");
  result.verifier_name_or_path = verifier.find_string("name_or_path").value_or("");
  result.verifier_architectures = verifier.find_strings("architectures").value_or(std::vector<std::string>{});
  const JsonObject layer = top.get_object("transformer_layer_config");
  result.layer_config = parse_model_config(layer.value(), layer.place());
  get_draft_algorithm(result.algorithm).weight_table(result, place);  // checks the algorithm's own fields
  return result;
}

Speculator load_speculator(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  Speculator result = parse_speculator(read_json(file), file.string());
  result.folder = folder;
  return result;
}

Speculator complete_speculator(Speculator speculator, const Json& algorithm_fields, const std::string& dtype) {
  Json config = algorithm_fields;
  config["architectures"] = {get_draft_algorithm(speculator.algorithm).architecture};
  config["dtype"] = dtype;
  config["speculators_config"] = speculators_config_json(speculator);
  config["speculators_model_type"] = speculator.algorithm;
  config["speculators_version"] = kSpeculatorsVersion;
  config["tie_word_embeddings"] = false;
  config["transformer_layer_config"] = layer_config_json(speculator, algorithm_fields);
  config["transformers_version"] = kTransformersVersion;
  Speculator result = parse_speculator(sort_keys(config), "new config.json");
  result.folder = speculator.folder;
  return result;
}

fs::path find_verifier_folder(const Speculator& speculator) {
  const std::string place = (speculator.folder / "config.json").string();
  const std::string& name = speculator.verifier_name_or_path;
  if (name.empty()) {
    throw DataError(
        fmt::format("{}: speculators_config: verifier: name_or_path: expected the verifier's folder, found "
                    "nothing; this speculator is bound to no verifier",
                    place));
  }
  const fs::path as_it_is = name, beside = speculator.folder / name;
  if (fs::exists(as_it_is / "config.json")) return as_it_is;
  if (fs::exists(beside / "config.json")) return beside;
  throw DataError(
      fmt::format("{}: speculators_config: verifier: name_or_path: expected a folder with a config.json, found "
                  "neither {} nor {}; download the verifier or correct the path",
                  place, as_it_is.string(), beside.string()));
}

void save_speculator(const fs::path& folder, const Speculator& speculator, const NamedTensors& tensors) {
  const std::string place = folder.string();
  const Speculator checked = parse_speculator(speculator.config, (folder / "config.json").string());
  check_saved_tensors(get_draft_algorithm(checked.algorithm).weight_table(checked, place), tensors, place);
  write_folder(folder, [&](const fs::path& temporary) {
    // As Python's json.dumps(sort_keys=True, indent=2) writes it: everything outside ASCII escaped.
    write_file(temporary / "config.json", sort_keys(speculator.config).dump(2, ' ', true) + "\n");
    write_safetensors(temporary / "model.safetensors", tensors);
  });
}

}  // namespace speculators
