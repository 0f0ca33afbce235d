// The verifiers that can be run here, by the `model_type` of their config.json. A new one is one file pair and one row.
#pragma once

#include <span>
#include <string_view>

#include "verifier/verifier.h"

namespace speculators {

struct VerifierArchitecture {
  std::string_view model_type;
  std::unique_ptr<Verifier> (*load)(const fs::path& folder, const ModelConfig& config);
};

std::span<const VerifierArchitecture> verifier_architectures();

}  // namespace speculators
