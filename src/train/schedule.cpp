#include "train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/errors.h"

namespace speculators {

double schedule_factor(const Schedule& schedule, int64_t step) {
  if (schedule.type == "none") return 1;
  const auto warmup = static_cast<double>(schedule.warmup_steps);
  const auto total = static_cast<double>(schedule.total_steps);
  const auto now = static_cast<double>(step);
  if (step < schedule.warmup_steps) return now / std::max(1.0, warmup);
  const double span = std::max(1.0, total - warmup);
  if (schedule.type == "linear") return std::max(0.0, (total - now) / span);
  const double progress = (now - warmup) / span;
  return std::max(0.0, 0.5 * (1 + std::cos(2 * std::numbers::pi * schedule.num_cosine_cycles * progress)));
}

void check_schedule(const Schedule& schedule) {
  if (schedule.type != "linear" && schedule.type != "cosine" && schedule.type != "none") {
    throw UsageError(fmt::format("--scheduler-type: expected linear, cosine or none, got '{}'", schedule.type));
  }
  if (schedule.warmup_steps < 0 || schedule.total_steps < 0) {
    throw UsageError(fmt::format(
        "--scheduler-warmup-steps, --scheduler-total-steps: expected step counts >= 0, got warm-up {} of {}",
        schedule.warmup_steps, schedule.total_steps));
  }
}

}  // namespace speculators
