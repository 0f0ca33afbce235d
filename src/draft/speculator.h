// Speculator: what is saved and served - a draft's config and weights and the verifier it belongs to. The folder is the
// speculators format that `vllm serve DIR` loads. Source: reference algorithms.md sections 2-3, vllm_contract.md.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>  // Speculator holds a Json by value
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"

namespace speculators {

// The part of config.json that every algorithm has; the algorithm's own fields stay in `config` for its config.cpp.
struct Speculator {
  fs::path folder;                    // where it was loaded from; empty for a new one
  std::string algorithm;              // "eagle3", "dflash": a row of draft/registry.cpp
  Json config;                        // the whole config.json
  ModelConfig layer_config;           // `transformer_layer_config`
  std::string verifier_name_or_path;  // may be empty: no verifier bound
  std::vector<std::string> verifier_architectures;
  int64_t speculative_tokens = 0;  // K of the default proposal method
};

// Reads and checks `folder/config.json`; weights stay in the file (TensorFile::open_folder).
// Throws DataError for anything that upstream or vLLM would refuse.
Speculator load_speculator(const fs::path& folder);
// The same for a config.json already read; `place` names it in messages. `folder` stays empty.
Speculator parse_speculator(const Json& config, const std::string& place);

// Fills `config` of a new speculator: the whole config.json, keys sorted. Everything comes from the struct's other
// members and the algorithm's own fields (its to_json); "transformer_layer_config" inside the fields adds to the
// layers'. `dtype` is what the weights are saved in. Throws DataError when the result would not load again.
Speculator complete_speculator(Speculator speculator, const Json& algorithm_fields,
                               const std::string& dtype = "bfloat16");

// The verifier's folder: `verifier_name_or_path` as it is, else relative to the speculator's folder. Throws DataError
// naming both places when neither exists.
fs::path find_verifier_folder(const Speculator& speculator);

// Writes config.json and model.safetensors; `folder` appears whole or not at all. Throws DataError listing every tensor
// that the algorithm needs and `tensors` lacks, or the reverse (vLLM loads incomplete files silently).
void save_speculator(const fs::path& folder, const Speculator& speculator, const NamedTensors& tensors);

}  // namespace speculators
