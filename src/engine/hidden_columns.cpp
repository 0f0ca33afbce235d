#include "engine/hidden_columns.h"

#include <algorithm>

namespace speculators {

HiddenColumns::HiddenColumns(const std::vector<int64_t>& layer_ids, std::vector<int64_t>& kept) {
  for (const int64_t id : layer_ids) {
    const auto place = std::find(kept.begin(), kept.end(), id);
    columns_.push_back(place - kept.begin());
    if (place == kept.end()) kept.push_back(id);
  }
}

void HiddenColumns::append(std::span<const float> states, int64_t num_kept, int64_t hidden_size, int64_t first,
                           int64_t count, std::vector<float>& destination) const {
  for (int64_t row = first; row < first + count; ++row) {
    for (const int64_t column : columns_) {
      const auto source = states.subspan((row * num_kept + column) * hidden_size, hidden_size);
      destination.insert(destination.end(), source.begin(), source.end());
    }
  }
}

}  // namespace speculators
