// Qwen's dense decoders: qwen3 norms queries and keys head by head; qwen2 has biases on q, k and v instead.
#pragma once

#include "verifier/verifier.h"

namespace speculators {

std::unique_ptr<Verifier> load_qwen3(const fs::path& folder, const ModelConfig& config);
std::unique_ptr<Verifier> load_qwen2(const fs::path& folder, const ModelConfig& config);

}  // namespace speculators
