#include "draft/rope_table.h"

#include <algorithm>
#include <cmath>

namespace speculators {

void extend_rope_table(RopeTable& table, const RotaryFrequencies& frequencies, int64_t num_positions) {
  table.half_dim = static_cast<int64_t>(frequencies.values.size());
  const int64_t known = table.num_positions();
  if (num_positions <= known) return;
  const int64_t wanted = std::max<int64_t>({num_positions, 2 * known, 256});
  const auto scale = static_cast<float>(frequencies.attention_factor);
  for (int64_t position = known; position < wanted; ++position) {
    for (const double frequency : frequencies.values) {
      const float angle = static_cast<float>(position) * static_cast<float>(frequency);
      table.cosines.push_back(std::cos(angle) * scale);
      table.sines.push_back(std::sin(angle) * scale);
    }
  }
}

}  // namespace speculators
