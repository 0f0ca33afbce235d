// NumPy's .npy files, version 1: the vocabulary maps d2t (int64) and t2d (bool) of upstream. Row-major, little-endian.
// Source: NumPy's format description (numpy.lib.format).
#pragma once

#include "base/files.h"
#include "checkpoint/tensor_view.h"

namespace speculators {

// Int64 and bool arrays of any shape. Throws DataError naming `path` for damage and for other dtypes or layouts.
Tensor read_npy(const fs::path& path);

// kI64 or kBool; else DataError. `numpy.load` reads it. Appears whole or not at all.
void write_npy(const fs::path& path, const TensorView& tensor);

// The same on the bytes of a file. `place` is kept for messages.
Tensor parse_npy(std::span<const std::byte> bytes, const std::string& place);

}  // namespace speculators
