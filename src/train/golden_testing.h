// Test support: golden files in the shared folder, as torch tensors. Tests that use them skip where they are absent.
#pragma once

#include <torch/types.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "train/tensor_bridge.h"

namespace speculators {

// SPECULATORS_SHARED, else ../shared beside the source tree; nothing where the file is absent.
inline std::optional<fs::path> find_golden(const std::string& name) {
  const char* variable = std::getenv("SPECULATORS_SHARED");
  const fs::path folder = variable ? fs::path(variable) : fs::path(SPECULATORS_SOURCE_DIR) / ".." / "shared";
  const fs::path path = folder / "goldens" / (name + ".safetensors");
  return fs::exists(path) ? std::optional(path) : std::nullopt;
}

inline std::map<std::string, torch::Tensor> read_golden(const fs::path& path) {
  return read_tensors(TensorFile::open(path));
}

}  // namespace speculators
