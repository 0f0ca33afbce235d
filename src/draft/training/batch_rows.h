// What the row plans read of a packed batch, on the host. Dims: T packed tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "draft/train_batch.h"

namespace speculators {

struct BatchRows {
  std::vector<int64_t> documents;   // [T], -1 is padding
  std::vector<uint8_t> supervised;  // [T], the loss mask
  int64_t num_rows() const { return static_cast<int64_t>(documents.size()); }
  // Both rows lie in the batch and in the same document.
  bool same_document(int64_t a, int64_t b) const {
    return a >= 0 && b >= 0 && a < num_rows() && b < num_rows() && documents[a] >= 0 && documents[a] == documents[b];
  }
};

// Throws ShapeError when a tensor of the batch has another length than input_ids, or aux states another width.
BatchRows read_batch_rows(const TrainBatch& batch, int64_t aux_width, int64_t hidden_size);

// int64 values on the host.
std::vector<int64_t> host_values(const torch::Tensor& values);

// First row of each row's document (itself for padding). [T]
std::vector<int64_t> document_starts(const BatchRows& rows);

}  // namespace speculators
