// Where training figures go: JSON lines, TensorBoard event files, the console. One trainer thread.
// Names are flat: "train/loss", "val/loss_epoch", "lr/Muon", "profile/tokens_per_s"; the x axis is the global step.
// Source: reference algorithms.md 17.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"

namespace speculators {

using Metrics = std::map<std::string, double>;

class MetricLogger {
 public:
  virtual ~MetricLogger() = default;
  // Throws DataError when a file cannot be written.
  virtual void log(int64_t step, const Metrics& metrics) = 0;
  // The resolved options, once at the start.
  virtual void log_config(const std::string& yaml) {}
  // A warning or a milestone, for people.
  virtual void message(const std::string& text) {}
};

using MetricLoggers = std::vector<std::unique_ptr<MetricLogger>>;

// One line per call: {"step": 7, "train/loss": 1.25, ...}; non-finite numbers as null. Lines of `first_step` and later
// steps are cut off first, so a resumed run does not repeat them; so are validation lines of the step before, unless
// they are `validated`.
std::unique_ptr<MetricLogger> make_json_lines_logger(const fs::path& path, int64_t first_step, bool validated = true);
std::unique_ptr<MetricLogger> make_tensorboard_logger(const fs::path& folder);
// Messages, and validation figures as one line, on stderr; step figures are left to the progress line.
std::unique_ptr<MetricLogger> make_console_logger();

// "0.123", "1.23e-05", "1.23e+04": three decimals, scientific below 1e-3 and above 999.
std::string short_number(double value);

// Fills {time} and {utc_time} of a run name (strftime %Y-%m-%d_%H-%M-%S), {rank} and {local_rank} with 0; empty:
// "{time}". Throws UsageError for another placeholder.
std::string expand_run_name(const std::string& pattern);

}  // namespace speculators
