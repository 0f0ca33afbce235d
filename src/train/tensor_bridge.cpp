#include "train/tensor_bridge.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include "base/errors.h"

namespace speculators {

torch::Dtype torch_dtype(DType dtype, const std::string& place) {
  switch (dtype) {
    case DType::kBool:
      return torch::kBool;
    case DType::kI64:
      return torch::kInt64;
    case DType::kI32:
      return torch::kInt32;
    case DType::kF32:
      return torch::kFloat32;
    case DType::kF16:
      return torch::kFloat16;
    case DType::kBF16:
      return torch::kBFloat16;
    case DType::kF8E4M3:
      return torch::kFloat8_e4m3fn;
    default:
      throw DataError(fmt::format("{}: expected a float, I64, I32 or BOOL tensor, found {}", place, name_of(dtype)));
  }
}

DType checkpoint_dtype(torch::Dtype dtype) {
  switch (dtype) {
    case torch::kBool:
      return DType::kBool;
    case torch::kInt64:
      return DType::kI64;
    case torch::kFloat32:
      return DType::kF32;
    case torch::kBFloat16:
      return DType::kBF16;
    default:
      throw ShapeError(fmt::format("saving: expected fp32, bf16, int64 or bool, found {}", c10::toString(dtype)));
  }
}

torch::Tensor to_torch(const TensorView& view) {
  auto* bytes = const_cast<std::byte*>(view.bytes.data());
  return at::from_blob(bytes, view.shape, torch::TensorOptions().dtype(torch_dtype(view.dtype, "tensor")));
}

NamedTensors views_of(const std::vector<NamedParameter>& tensors) {
  NamedTensors views;
  for (const auto& [name, value] : tensors) {
    const std::span bytes(static_cast<const std::byte*>(value.const_data_ptr()), value.nbytes());
    views.push_back({name, TensorView{checkpoint_dtype(value.scalar_type()), value.sizes().vec(), bytes}});
  }
  return views;
}

void write_tensors(const fs::path& path, const std::vector<NamedParameter>& tensors) {
  std::vector<NamedParameter> dense;
  for (const auto& [name, value] : tensors) dense.push_back({name, value.detach().cpu().contiguous()});
  write_safetensors(path, views_of(dense));
}

std::vector<NamedParameter> serving_tensors(std::vector<NamedParameter> tensors) {
  for (auto& [name, value] : tensors) {
    value = value.detach();
    if (value.is_floating_point()) value = value.to(torch::kBFloat16);
    value = value.cpu().contiguous();
  }
  return tensors;
}

std::map<std::string, torch::Tensor> read_tensors(const TensorFile& file) {
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, view] : file.tensors()) {
    torch_dtype(view.dtype, file.path().string() + ": " + name);
    tensors.emplace(name, to_torch(view).clone());
  }
  return tensors;
}

}  // namespace speculators
