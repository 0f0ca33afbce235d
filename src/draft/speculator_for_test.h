// For tests and benchmarks: speculators with random weights, written to disk like trained ones.
#pragma once

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "draft/draft_algorithm.h"
#include "draft/vocabulary_map.h"
#include "tests/support/tiny_verifier.h"

namespace speculators::testing {

// Weights for a table, small enough to keep activations tame; norms around 1; d2t and t2d of `map`.
inline OwnedTensors random_weights(const WeightTable& table, const VocabularyMap& map, uint64_t seed) {
  std::mt19937_64 random(seed);
  OwnedTensors tensors;
  for (const WeightSpec& spec : table) {
    if (spec.required == WeightPresence::kNever) continue;
    if (spec.name == "d2t") {
      tensors.emplace_back(spec.name, make_tensor(spec.shape, std::span<const int64_t>(map.d2t)));
    } else if (spec.name == "t2d") {
      tensors.emplace_back(spec.name, make_bool_tensor(spec.shape, map.t2d));
    } else {
      int64_t count = 1;
      for (int64_t size : spec.shape) count *= size;
      const float mean = spec.name.find("norm") == std::string::npos ? 0 : 1;
      const float spread = spec.shape.size() == 2 ? 2 / std::sqrt(static_cast<float>(spec.shape[1])) : 0.3f;
      std::vector<Bf16> values(count);
      for (Bf16& value : values) {
        const float uniform = static_cast<float>(random() >> 40) * 0x1p-23f - 1;  // [-1, 1)
        value = to_bf16(mean + spread * uniform);
      }
      tensors.emplace_back(spec.name, make_tensor(spec.shape, std::span<const Bf16>(values)));
    }
  }
  return tensors;
}

inline NamedTensors views_of(const OwnedTensors& tensors) {
  NamedTensors views;
  for (const auto& [name, tensor] : tensors) views.emplace_back(name, tensor.view());
  return views;
}

// Every third id of the verifier's vocabulary.
inline VocabularyMap sparse_map(int64_t verifier_vocab_size, int64_t draft_vocab_size) {
  std::map<int64_t, int64_t> counts;
  for (int64_t id = 0; id < verifier_vocab_size; id += 3) counts[id] = 1;
  return make_vocabulary_map(counts, verifier_vocab_size, draft_vocab_size);
}

// Draft layers that fit tiny_config(): hidden size 16, verifier vocabulary 40.
inline ModelConfig tiny_layers(const std::string& model_type, std::vector<std::string> layer_types) {
  ModelConfig layer = tiny_config(model_type);
  layer.num_hidden_layers = static_cast<int64_t>(layer_types.size());
  layer.layer_types = std::move(layer_types);
  layer.sliding_window = 5;
  return layer;
}

// A new speculator for a verifier that lies in "../verifier".
inline Speculator new_speculator(const std::string& algorithm, const ModelConfig& layer, const Json& fields,
                                 int64_t speculative_tokens) {
  Speculator speculator;
  speculator.algorithm = algorithm;
  speculator.layer_config = layer;
  speculator.verifier_name_or_path = "../verifier";
  speculator.verifier_architectures = {"LlamaForCausalLM"};
  speculator.speculative_tokens = speculative_tokens;
  return complete_speculator(speculator, fields);
}

// Writes `folder`/verifier (six layers) and `folder`/speculator; returns the latter.
inline fs::path write_speculator(const fs::path& folder, const Speculator& speculator, uint64_t seed = 1) {
  ModelConfig verifier = speculator.layer_config;
  verifier.model_type = "llama";
  verifier.architectures = {"LlamaForCausalLM"};
  verifier.num_hidden_layers = 6;
  verifier.layer_types.clear();
  verifier.sliding_window.reset();
  write_tiny_verifier(folder / "verifier", verifier, seed + 1);
  const WeightTable table = get_draft_algorithm(speculator.algorithm).weight_table(speculator, "test");
  const int64_t draft_vocab_size = speculator.config.value("draft_vocab_size", speculator.layer_config.vocab_size);
  const OwnedTensors tensors =
      random_weights(table, sparse_map(speculator.layer_config.vocab_size, draft_vocab_size), seed);
  save_speculator(folder / "speculator", speculator, views_of(tensors));
  return folder / "speculator";
}

}  // namespace speculators::testing
