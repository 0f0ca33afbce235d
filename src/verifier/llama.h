// Llama and its plain relatives (model types llama, mistral): no norms on queries and keys, biases as the config says.
#pragma once

#include "verifier/verifier.h"

namespace speculators {

std::unique_ptr<Verifier> load_llama(const fs::path& folder, const ModelConfig& config);

}  // namespace speculators
