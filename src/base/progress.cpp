#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <utility>

#include "base/errors.h"

namespace speculators {
namespace {

volatile std::sig_atomic_t g_stop = 0;

void on_signal(int number) {
  g_stop = 1;
  std::signal(number, SIG_DFL);
}

std::string human_duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

}  // namespace

Progress::Progress(std::string task, int64_t total, std::string unit)
    : task_(std::move(task)),
      unit_(std::move(unit)),
      total_(total),
      started_(Clock::now()),
      printed_(started_),
      terminal_(::isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() { print(/*final=*/true); }

void Progress::advance(int64_t count, const std::string& note) {
  done_ += count;
  if (!note.empty()) note_ = note;
  const double since = std::chrono::duration<double>(Clock::now() - printed_).count();
  if (since >= (terminal_ ? 0.2 : 10.0)) print(/*final=*/false);
}

void Progress::print(bool final) {
  printed_ = Clock::now();
  const double elapsed = std::chrono::duration<double>(printed_ - started_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  std::string line = task_ + ": ";
  line += total_ > 0 ? fmt::format("{}/{} {}", done_, total_, unit_) : fmt::format("{} {}", done_, unit_);
  line += fmt::format(", {:.{}f}/s", rate, rate < 10 ? 2 : 0);
  if (final) {
    line += fmt::format(", took {}", human_duration(elapsed));
  } else if (total_ > 0 && rate > 0) {
    line += fmt::format(", {} left", human_duration(static_cast<double>(total_ - done_) / rate));
  }
  if (!note_.empty()) line += "  " + note_;
  fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", line, terminal_ && !final ? "" : "\n");
  std::fflush(stderr);
}

void install_stop_handlers() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool stop_requested() { return g_stop != 0; }

void check_stop(const std::string& what_is_saved) {
  if (stop_requested()) throw Interrupted("stopped by a signal; " + what_is_saved);
}

}  // namespace speculators
