// The tensors of an algorithm's model.safetensors: names, shapes, types, worked out from the config. One table serves
// loading, saving and the contract tests. Source: reference algorithms.md 3.1, 3.4.
// Dims: D hidden size, I intermediate size, N heads, Nk key/value heads, H head dim.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"

namespace speculators {

enum class WeightType { kFloat, kInt64, kBool };  // kFloat: BF16, F16 or F32

// Who insists on a tensor. What a file may leave out, its reader takes from the verifier.
enum class WeightPresence { kAlways, kOnlyWhenSaving, kNever };

struct WeightSpec {
  std::string name;
  std::vector<int64_t> shape;
  WeightType type = WeightType::kFloat;
  WeightPresence required = WeightPresence::kAlways;
};

using WeightTable = std::vector<WeightSpec>;

// The decoder layer `prefix` ("layers.0."): `num_inputs` of q, k, v (D, or 2D in EAGLE-3's first layer), q and k norms
// if `has_qk_norms`, biases as the config says.
void append_layer_weights(WeightTable& table, const ModelConfig& layer, const std::string& prefix, int64_t num_inputs,
                          bool has_qk_norms);
// lm_head, and d2t and t2d when the draft vocabulary [V] is reduced; if it is not, `full_head` says who insists on
// lm_head.
void append_vocabulary_weights(WeightTable& table, const ModelConfig& layer, int64_t draft_vocab_size,
                               WeightPresence full_head);

// Throw DataError once, listing every tensor that is missing, unexpected, or of another shape or type.
void check_loaded_tensors(const WeightTable& table, const TensorFile& file);
void check_saved_tensors(const WeightTable& table, const NamedTensors& tensors, const std::string& place);

}  // namespace speculators
