// The learning rate over the steps, as a factor of the base rate. Source: reference algorithms.md 13.4.
#pragma once

#include <cstdint>
#include <string>

namespace speculators {

struct Schedule {
  std::string type = "linear";  // linear, cosine, none
  int64_t warmup_steps = 0;
  int64_t total_steps = 0;
  double num_cosine_cycles = 0.5;
};

// Factor of update number `step` (from 0): with a warm-up the very first update has rate 0.
double schedule_factor(const Schedule& schedule, int64_t step);

// Throws UsageError for an unknown type or negative counts.
void check_schedule(const Schedule& schedule);

}  // namespace speculators
