#include "checkpoint/tensor_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "base/errors.h"

namespace speculators {
namespace {

// Bytes in a file need not be aligned for their type, so elements are copied out one by one (the compiler vectorises
// it).
template <class Element, class Out, class Convert>
std::vector<Out> convert_all(const TensorView& tensor, Convert convert) {
  std::vector<Out> out(tensor.bytes.size() / sizeof(Element));
  for (size_t i = 0; i < out.size(); ++i) {
    Element element;
    std::memcpy(&element, tensor.bytes.data() + i * sizeof(Element), sizeof(Element));
    out[i] = convert(element);
  }
  return out;
}

[[noreturn]] void fail_dtype(const TensorView& tensor, std::string_view place, std::string_view expected) {
  throw DataError(fmt::format("{}: expected dtype {}, found {}", place, expected, name_of(tensor.dtype)));
}

template <class Element>
Tensor copy_of(DType dtype, std::vector<int64_t> shape, std::span<const Element> values) {
  Tensor tensor{dtype, std::move(shape), {}};
  const auto bytes = std::as_bytes(values);
  tensor.bytes.assign(bytes.begin(), bytes.end());
  if (tensor.view().num_elements() != static_cast<int64_t>(values.size())) {
    throw ShapeError(fmt::format("make_tensor: shape {} expects {} values, found {}", shape_string(tensor.shape),
                                 tensor.view().num_elements(), values.size()));
  }
  return tensor;
}

}  // namespace

int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kBool:
    case DType::kU8:
    case DType::kI8:
    case DType::kF8E4M3:
      return 1;
    case DType::kI16:
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kI32:
    case DType::kF32:
      return 4;
    case DType::kI64:
    case DType::kF64:
      return 8;
  }
  return 0;
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "BOOL";
    case DType::kU8:
      return "U8";
    case DType::kI8:
      return "I8";
    case DType::kI16:
      return "I16";
    case DType::kI32:
      return "I32";
    case DType::kI64:
      return "I64";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kF32:
      return "F32";
    case DType::kF64:
      return "F64";
    case DType::kF8E4M3:
      return "F8_E4M3";
  }
  return "?";
}

int64_t TensorView::num_elements() const {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

std::string shape_string(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::vector<float> to_floats(const TensorView& tensor, std::string_view place) {
  switch (tensor.dtype) {
    case DType::kF32:
      return convert_all<float, float>(tensor, [](float value) { return value; });
    case DType::kF16:
      return convert_all<uint16_t, float>(tensor, [](uint16_t bits) { return half_to_float(bits); });
    case DType::kBF16:
      return convert_all<Bf16, float>(tensor, [](Bf16 value) { return to_float(value); });
    default:
      fail_dtype(tensor, place, "F32, F16 or BF16");
  }
}

std::vector<Bf16> to_bf16s(const TensorView& tensor, std::string_view place) {
  switch (tensor.dtype) {
    case DType::kF32:
      return convert_all<float, Bf16>(tensor, [](float value) { return to_bf16(value); });
    case DType::kF16:
      return convert_all<uint16_t, Bf16>(tensor, [](uint16_t bits) { return to_bf16(half_to_float(bits)); });
    case DType::kBF16:
      return convert_all<Bf16, Bf16>(tensor, [](Bf16 value) { return value; });
    default:
      fail_dtype(tensor, place, "F32, F16 or BF16");
  }
}

std::vector<int64_t> to_ints(const TensorView& tensor, std::string_view place) {
  switch (tensor.dtype) {
    case DType::kI64:
      return convert_all<int64_t, int64_t>(tensor, [](int64_t value) { return value; });
    case DType::kI32:
      return convert_all<int32_t, int64_t>(tensor, [](int32_t value) { return value; });
    case DType::kU8:
      return convert_all<uint8_t, int64_t>(tensor, [](uint8_t value) { return value; });
    case DType::kBool:
      return convert_all<uint8_t, int64_t>(tensor, [](uint8_t value) { return value != 0; });
    default:
      fail_dtype(tensor, place, "I64, I32, U8 or BOOL");
  }
}

Tensor make_tensor(std::vector<int64_t> shape, std::span<const float> values) {
  return copy_of(DType::kF32, std::move(shape), values);
}

Tensor make_tensor(std::vector<int64_t> shape, std::span<const Bf16> values) {
  return copy_of(DType::kBF16, std::move(shape), values);
}

Tensor make_tensor(std::vector<int64_t> shape, std::span<const int64_t> values) {
  return copy_of(DType::kI64, std::move(shape), values);
}

Tensor make_bool_tensor(std::vector<int64_t> shape, const std::vector<bool>& values) {
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  return copy_of(DType::kBool, std::move(shape), std::span<const uint8_t>(bytes));
}

}  // namespace speculators
