// Progress of long work: one living line with rate and time left on a terminal, a plain line every few seconds in a
// log. Writes to stderr, never stdout. Also the one place that knows whether the user asked to stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace speculators {

// Call `advance` from one thread. The line ends when the object goes.
class Progress {
 public:
  // `total` 0 means unknown. `unit` is plural: "tokens", "samples".
  Progress(std::string task, int64_t total, std::string unit);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  // A better estimate of the whole than the one given at first.
  void expect(int64_t total) { total_ = total; }
  // `note` is shown after the figures ("loss 1.23").
  void advance(int64_t count, const std::string& note = "");

 private:
  void print(bool final);
  using Clock = std::chrono::steady_clock;
  std::string task_, unit_, note_;
  int64_t total_, done_ = 0;
  Clock::time_point started_, printed_;
  bool terminal_;
};

// Installs handlers for SIGINT and SIGTERM: the first sets a flag that long loops poll, the second kills at once.
void install_stop_handlers();
bool stop_requested();
// Throws Interrupted with `what_is_saved` when a stop was requested.
void check_stop(const std::string& what_is_saved);

}  // namespace speculators
