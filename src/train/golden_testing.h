// Test support: golden files in the shared folder, as torch tensors. Tests that use them skip where they are absent.
#pragma once

#include <torch/types.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>

#include "checkpoint/safetensors.h"

namespace speculators {

inline torch::Dtype torch_dtype(DType dtype) {
  switch (dtype) {
    case DType::kBool: return torch::kBool;
    case DType::kI64: return torch::kInt64;
    case DType::kBF16: return torch::kBFloat16;
    default: return torch::kFloat32;
  }
}

// SPECULATORS_SHARED, else ../shared beside the source tree; nothing where the file is absent.
inline std::optional<fs::path> find_golden(const std::string& name) {
  const char* variable = std::getenv("SPECULATORS_SHARED");
  const fs::path folder = variable ? fs::path(variable) : fs::path(SPECULATORS_SOURCE_DIR) / ".." / "shared";
  const fs::path path = folder / "goldens" / (name + ".safetensors");
  return fs::exists(path) ? std::optional(path) : std::nullopt;
}

inline std::map<std::string, torch::Tensor> read_golden(const fs::path& path) {
  const TensorFile file = TensorFile::open(path);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, view] : file.tensors()) {
    auto tensor = torch::empty(view.shape, torch_dtype(view.dtype));
    std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
    tensors.emplace(name, tensor);
  }
  return tensors;
}

}  // namespace speculators
