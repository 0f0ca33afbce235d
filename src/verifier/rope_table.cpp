#include "verifier/rope_table.h"

#include <algorithm>
#include <cmath>

namespace speculators {

void grow_rope_table(RopeTable& table, const RotaryFrequencies& frequencies, int64_t num_positions,
                     int64_t max_positions) {
  table.half_dim = static_cast<int64_t>(frequencies.values.size());
  const int64_t begin = table.num_positions();
  if (num_positions <= begin) return;
  const int64_t end = std::max(num_positions, std::min(max_positions, std::max<int64_t>(2 * begin, 1024)));
  const auto scale = static_cast<float>(frequencies.attention_factor);
  for (int64_t position = begin; position < end; ++position) {
    for (const double frequency : frequencies.values) {
      const float angle = static_cast<float>(position) * static_cast<float>(frequency);
      table.cosines.push_back(std::cos(angle) * scale);
      table.sines.push_back(std::sin(angle) * scale);
    }
  }
}

}  // namespace speculators
