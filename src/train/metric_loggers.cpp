#include "train/metric_loggers.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/json.h"
#include "train/tensorboard_file.h"

namespace speculators {
namespace {

bool is_validation(const Json& line) {
  const auto items = line.items();
  return std::any_of(items.begin(), items.end(), [](const auto& item) { return item.key().starts_with("val/"); });
}

// The lines before `first_step`; a half-written last line is dropped too.
std::string kept_lines(const fs::path& path, int64_t first_step, bool validated) {
  std::string kept;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const int64_t step = value.is_object() ? value.value("step", first_step) : first_step;
    const bool again = !validated && step == first_step - 1 && is_validation(value);
    if (step < first_step && !again) kept += line + "\n";
  }
  return kept;
}

class JsonLinesLogger final : public MetricLogger {
 public:
  JsonLinesLogger(const fs::path& path, int64_t first_step, bool validated) : path_(path) {
    make_folders(path.parent_path());
    write_file(path, fs::exists(path) ? kept_lines(path, first_step, validated) : "");
    file_.open(path, std::ios::app);
  }

  void log(int64_t step, const Metrics& metrics) override {
    Json line = {{"step", step}};
    for (const auto& [name, value] : metrics) line[name] = value;
    file_ << line.dump() << '\n' << std::flush;
    if (!file_) throw DataError(fmt::format("{}: cannot write; is the disk full?", path_.string()));
  }

 private:
  fs::path path_;
  std::ofstream file_;
};

class TensorboardLogger final : public MetricLogger {
 public:
  explicit TensorboardLogger(const fs::path& folder) : file_(folder) {}
  void log(int64_t step, const Metrics& metrics) override { file_.add_scalars(step, metrics); }
  void log_config(const std::string& yaml) override { file_.add_text(0, "config", "```yaml\n" + yaml + "\n```"); }

 private:
  TensorboardFile file_;
};

class ConsoleLogger final : public MetricLogger {
 public:
  void log(int64_t step, const Metrics& metrics) override {
    std::string line;
    for (const auto& [name, value] : metrics) {
      if (name.starts_with("val/")) line += fmt::format("  {} {}", name.substr(4), short_number(value));
    }
    if (!line.empty()) message(fmt::format("validation at step {}:{}", step, line));
  }

  void message(const std::string& text) override {
    const bool terminal = ::isatty(STDERR_FILENO) != 0;  // there the progress line is overwritten
    fmt::print(stderr, "{}{}\n", terminal ? "\r\033[K" : "", text);
  }
};

}  // namespace

std::unique_ptr<MetricLogger> make_json_lines_logger(const fs::path& path, int64_t first_step, bool validated) {
  return std::make_unique<JsonLinesLogger>(path, first_step, validated);
}

std::unique_ptr<MetricLogger> make_tensorboard_logger(const fs::path& folder) {
  return std::make_unique<TensorboardLogger>(folder);
}

std::unique_ptr<MetricLogger> make_console_logger() { return std::make_unique<ConsoleLogger>(); }

std::string short_number(double value) {
  const double size = std::abs(value);
  const bool scientific = (size < 1e-3 && size != 0) || size > 999;
  return scientific ? fmt::format("{:.2e}", value) : fmt::format("{:.3f}", value);
}

std::string expand_run_name(const std::string& pattern) {
  const std::time_t now = std::time(nullptr);
  const auto stamp = [](const std::tm& time) { return fmt::format("{:%Y-%m-%d_%H-%M-%S}", time); };
  try {
    return fmt::format(fmt::runtime(pattern.empty() ? "{time}" : pattern), fmt::arg("time", stamp(fmt::localtime(now))),
                       fmt::arg("utc_time", stamp(fmt::gmtime(now))), fmt::arg("rank", 0), fmt::arg("local_rank", 0));
  } catch (const fmt::format_error& error) {
    throw UsageError(
        fmt::format("--run-name: expected the placeholders {{time}}, {{utc_time}}, {{rank}} or {{local_rank}}, got "
                    "'{}' ({})",
                    pattern, error.what()));
  }
}

}  // namespace speculators
