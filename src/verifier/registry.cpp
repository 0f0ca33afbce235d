#include "verifier/registry.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/errors.h"
#include "verifier/llama.h"
#include "verifier/qwen.h"

namespace speculators {

std::span<const VerifierArchitecture> verifier_architectures() {
  static constexpr VerifierArchitecture kTable[] = {
      {"llama", load_llama},
      {"mistral", load_llama},
      {"qwen2", load_qwen2},
      {"qwen3", load_qwen3},
  };
  return kTable;
}

std::unique_ptr<Verifier> load_verifier(const fs::path& folder) {
  const ModelConfig config = read_model_config(folder);
  std::vector<std::string> known;
  for (const VerifierArchitecture& architecture : verifier_architectures()) {
    if (architecture.model_type == config.model_type) return architecture.load(folder, config);
    known.emplace_back(architecture.model_type);
  }
  throw DataError(fmt::format("{}: model_type: expected one of {}, found {}", (folder / "config.json").string(),
                              fmt::join(known, ", "), config.model_type));
}

}  // namespace speculators
