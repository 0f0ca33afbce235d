// Between torch tensors and the bytes of checkpoint/. Safe from any thread.
#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "draft/trainable.h"

namespace speculators {

// Throws DataError naming `place` for dtypes that torch code here does not read.
torch::Dtype torch_dtype(DType dtype, const std::string& place);
DType checkpoint_dtype(torch::Dtype dtype);

// A view of mapped bytes: valid as long as the file, never to be written to.
torch::Tensor to_torch(const TensorView& view);

// Writes a safetensors file in the order given. Tensors may be on any device.
void write_tensors(const fs::path& path, const std::vector<NamedParameter>& tensors);

// On the CPU, dense, as served: floating-point values in bf16, everything else as it is.
std::vector<NamedParameter> serving_tensors(std::vector<NamedParameter> tensors);
// Views for checkpoint/; `tensors` must be dense, on the CPU, and outlive them.
NamedTensors views_of(const std::vector<NamedParameter>& tensors);

// Every tensor of a file, copied.
std::map<std::string, torch::Tensor> read_tensors(const TensorFile& file);

}  // namespace speculators
