// A named tensor as bytes: what checkpoint/ hands to everyone who computes. No arithmetic here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bf16.h"

namespace speculators {

enum class DType { kBool, kU8, kI8, kI16, kI32, kI64, kF16, kBF16, kF32, kF64, kF8E4M3 };

int64_t size_of(DType dtype);           // bytes of one element
std::string_view name_of(DType dtype);  // as safetensors writes it: "BF16", "I64", "BOOL"

// Row-major, dense. Does not own its bytes: they live as long as the file or buffer they come from.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
  int64_t num_elements() const;
};

// The same, owning its bytes.
struct Tensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
  TensorView view() const { return {dtype, shape, bytes}; }
};

// "[4096, 3072]" for messages.
std::string shape_string(std::span<const int64_t> shape);

// Converts F32, F16, BF16 (exact or rounded to nearest even); throws DataError naming `place` for any other dtype.
std::vector<float> to_floats(const TensorView& tensor, std::string_view place);
std::vector<Bf16> to_bf16s(const TensorView& tensor, std::string_view place);
// Converts I64, I32, U8, BOOL.
std::vector<int64_t> to_ints(const TensorView& tensor, std::string_view place);

Tensor make_tensor(std::vector<int64_t> shape, std::span<const float> values);
Tensor make_tensor(std::vector<int64_t> shape, std::span<const Bf16> values);
Tensor make_tensor(std::vector<int64_t> shape, std::span<const int64_t> values);
Tensor make_bool_tensor(std::vector<int64_t> shape, const std::vector<bool>& values);

}  // namespace speculators
