// Draft weights in computing form, out of checkpoints whose tensors were checked against a WeightTable.
// Every function throws DataError naming file and tensor for values that are not finite: a parameter that training
// never filled is NaN.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "draft/vocabulary_map.h"
#include "kernels/packed_linear.h"

namespace speculators {

// Several linears with the same inputs as one product: `name`.weight [outputs, inputs] one below the other, with
// `name`.bias where the file has them.
PackedLinear load_linear(const TensorFile& file, const std::vector<std::string>& names);
PackedLinear load_linear(const TensorView& weight, const std::string& place);
std::vector<float> load_vector(const TensorFile& file, const std::string& name);

// Verifier id of each draft id out of d2t (checked against t2d if that is there); empty for the full vocabulary.
std::vector<int32_t> load_draft_to_verifier(const TensorFile& file, int64_t vocab_size);

}  // namespace speculators
