#include "draft/embedding_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/errors.h"

namespace speculators {
namespace {

template <class Element, class Convert>
void convert_row(const TensorView& tensor, int32_t token, float* row, Convert convert) {
  const int64_t width = tensor.shape[1];
  const std::byte* source = tensor.bytes.data() + token * width * static_cast<int64_t>(sizeof(Element));
  for (int64_t i = 0; i < width; ++i) {
    Element element;
    std::memcpy(&element, source + i * sizeof element, sizeof element);
    row[i] = convert(element);
  }
}

}  // namespace

EmbeddingTable::EmbeddingTable(const TensorView& tensor, const std::string& place) : tensor_(tensor), place_(place) {
  const bool is_float = tensor.dtype == DType::kBF16 || tensor.dtype == DType::kF16 || tensor.dtype == DType::kF32;
  if (tensor.shape.size() == 2 && is_float) return;
  throw DataError(fmt::format("{}: embedding: expected BF16, F16 or F32 of two dimensions, found {} {}", place,
                              name_of(tensor.dtype), shape_string(tensor.shape)));
}

void EmbeddingTable::copy_row(int32_t token, float* row) const {
  if (token < 0 || token >= num_rows()) {
    throw UsageError(fmt::format("token id: expected one in [0, {}), found {}", num_rows(), token));
  }
  switch (tensor_.dtype) {
    case DType::kBF16:
      return convert_row<Bf16>(tensor_, token, row, [](Bf16 value) { return to_float(value); });
    case DType::kF16:
      return convert_row<uint16_t>(tensor_, token, row, half_to_float);
    default:
      return convert_row<float>(tensor_, token, row, [](float value) { return value; });
  }
}

void EmbeddingTable::copy_finite_row(int32_t token, float* row) const {
  copy_row(token, row);
  if (std::all_of(row, row + tensor_.shape[1], [](float value) { return std::isfinite(value); })) return;
  throw DataError(fmt::format("{}: row {}: expected finite numbers; was this tensor ever filled?", place_, token));
}

}  // namespace speculators
