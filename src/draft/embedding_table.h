// Token embeddings read row by row out of a mapped checkpoint: a draft needs a few rows a round, never the matrix.
// Dims: D hidden size. Thread-safe.
#pragma once

#include <cstdint>

#include "checkpoint/tensor_view.h"

namespace speculators {

class EmbeddingTable {
 public:
  // `tensor` [rows, D], F32, F16 or BF16; its bytes must outlive the table.
  EmbeddingTable(const TensorView& tensor, const std::string& place);
  int64_t num_rows() const { return tensor_.shape[0]; }
  // Writes row `token` as fp32 [D]. Throws UsageError for an id outside the table.
  void copy_row(int32_t token, float* row) const;
  // The same of a trained table; throws DataError naming `place` when the row is not finite: was it ever filled?
  void copy_finite_row(int32_t token, float* row) const;

 private:
  TensorView tensor_;
  std::string place_;
};

}  // namespace speculators
