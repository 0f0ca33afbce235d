// Which layers' states the verifier has to keep, and where a consumer finds its own among them: the proposer's aux
// hidden states and the states that requests asked to keep share one set.
// Dims: A consumer's layers, L layers kept, Dv verifier hidden size.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace speculators {

class HiddenColumns {
 public:
  HiddenColumns() = default;
  // Appends to `kept` those of `layer_ids` that it lacks.
  HiddenColumns(const std::vector<int64_t>& layer_ids, std::vector<int64_t>& kept);
  // Appends rows [first, first + count) of `states` [T, num_kept, Dv], this consumer's layers only, to `destination`.
  void append(std::span<const float> states, int64_t num_kept, int64_t hidden_size, int64_t first, int64_t count,
              std::vector<float>& destination) const;

 private:
  std::vector<int64_t> columns_;
};

}  // namespace speculators
