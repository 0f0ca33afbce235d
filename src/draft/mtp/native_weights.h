// The MTP layer inside a verifier's own checkpoint, under the names that its family gives it: `mtp.*` (Qwen3-Next,
// Qwen3.5) or one more layer `model.layers.<n>.*` with enorm, hnorm and eh_proj (DeepSeek, GLM).
// Source: reference algorithms.md 3.4, vllm_contract.md 2.6.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/safetensors.h"

namespace speculators {

enum class MtpNaming { kQwen, kDeepSeek };

// How the checkpoint names its MTP layer; nothing when it has none. `num_layers`: the verifier's, n.
std::optional<MtpNaming> find_mtp_naming(const TensorFile& verifier, int64_t num_layers);

// "mtp.fc.weight" <-> "mtp_layers.0.input_proj.weight". Nothing for a name that is no part of the layer.
std::optional<std::string> speculator_name(std::string_view native, MtpNaming naming, int64_t num_layers);
std::optional<std::string> native_name(std::string_view speculator, MtpNaming naming, int64_t num_layers);

// The layer's tensors under the speculator's names; empty when the checkpoint has none. Throws DataError for a layer of
// experts, which is not known here.
NamedTensors find_native_weights(const TensorFile& verifier, int64_t num_layers);

}  // namespace speculators
