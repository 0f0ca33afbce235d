#include "train/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "base/errors.h"

namespace speculators {
namespace {

constexpr int64_t kLogitRows = 1024;  // rows whose logits exist at once

double mebibytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

std::optional<int64_t> read_number(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

int64_t machine_available_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "MemAvailable:") return kibibytes << 10;
  }
  return std::numeric_limits<int64_t>::max();
}

}  // namespace

std::vector<MemoryItem> plan_memory(const MemoryNeeds& needs) {
  return {{"draft weights and gradients", needs.parameters * 2 * 4},
          {"optimizer state", needs.optimiser_values * 4},
          {"verifier embedding and head", needs.frozen * 4},
          {"packed rows", needs.row_values * needs.bytes_per_row_value * needs.rows_in_flight},
          {"activations", needs.query_rows * needs.values_per_query * 4},
          {"logits", std::min(needs.query_rows, kLogitRows) * needs.vocab_size * 3 * 4},
          {"writing a checkpoint", needs.saved_values * 2}};
}

int64_t available_memory_bytes() {
  int64_t available = machine_available_bytes();
  const auto limit = read_number("/sys/fs/cgroup/memory.max"), used = read_number("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit - *used);
  return available;
}

void check_memory(const std::vector<MemoryItem>& items, int64_t available_bytes) {
  int64_t total = 0;
  std::string list;
  for (const auto& [what, bytes] : items) {
    total += bytes;
    list += fmt::format("; {} {:.0f} MiB", what, mebibytes(bytes));
  }
  if (total <= available_bytes) return;
  throw UsageError(
      fmt::format("memory: training needs about {:.0f} MiB, {:.0f} MiB are free{}; lower --total-seq-len, "
                  "--max-anchors, --prefetch-factor or --draft-vocab-size",
                  mebibytes(total), mebibytes(available_bytes), list));
}

}  // namespace speculators
