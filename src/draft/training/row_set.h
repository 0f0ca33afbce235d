// Some rows of a packed batch, ascending, and where each one lies among them.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "nn/pair_losses.h"

namespace speculators {

class RowSet {
 public:
  RowSet() = default;
  // The rows that are marked.
  explicit RowSet(const std::vector<uint8_t>& marked) : position_(marked.size(), -1) {
    for (size_t row = 0; row < marked.size(); ++row) {
      if (!marked[row]) continue;
      position_[row] = static_cast<int64_t>(rows_.size());
      rows_.push_back(static_cast<int64_t>(row));
    }
  }
  const std::vector<int64_t>& rows() const { return rows_; }
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  int64_t position(int64_t row) const { return position_[row]; }
  // Positions of `rows` (each moved on by `shift`). int64 [n]
  torch::Tensor positions(const std::vector<int64_t>& rows, int64_t shift = 0) const {
    std::vector<int64_t> result;
    result.reserve(rows.size());
    for (const int64_t row : rows) result.push_back(position_[row + shift]);
    return nn::index_tensor(result);
  }
  torch::Tensor index() const { return nn::index_tensor(rows_); }

 private:
  std::vector<int64_t> rows_, position_;
};

}  // namespace speculators
