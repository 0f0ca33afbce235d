// A verifier's whole forward pass for few rows of one sequence, logits of every row: what plain decoding (1 row) and
// verification (K + 1 rows) cost, beside what the machine allows.
//   verify_rows_benchmark FOLDER [seconds = 8] [context = 64]
// Prints one JSON line per row count, then the machine's figures; tools/decode_vs_llama_cpp.py reads them.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <vector>

#include "machine_probe.h"
#include "verifier/verifier.h"

namespace speculators {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<int32_t> some_tokens(int64_t count, int64_t salt) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(100 + (i * 7919 + salt * 104729) % 20000));
  return tokens;
}

void run(const std::string& folder, double seconds, int64_t context) {
  const auto verifier = load_verifier(folder);
  const auto pool = verifier->make_kv_pool();
  KvSequence sequence(*pool);
  const auto prompt = some_tokens(context, 1);
  verifier->forward({.sequences = {{&sequence, prompt, 1}}});
  const std::vector<int64_t> row_counts = {1, 2, 4, 8};
  std::vector<double> best(row_counts.size(), 1e9);
  MachineProbe probe;
  MachineFigures machine;
  const auto start = Clock::now();
  for (int64_t turn = 0; seconds_since(start) < seconds; ++turn) {
    for (size_t i = 0; i < row_counts.size(); ++i) {
      const auto tokens = some_tokens(row_counts[i], turn);
      const auto begin = Clock::now();
      verifier->forward({.sequences = {{&sequence, tokens, row_counts[i]}}});
      best[i] = std::min(best[i], seconds_since(begin));
      sequence.truncate(context);
    }
    if (turn % 8 == 0) probe.measure(compute_pool(), machine);
  }
  const auto bytes = static_cast<double>(verifier->weight_bytes());  // two a weight, and two operations a row
  for (size_t i = 0; i < row_counts.size(); ++i) {
    const double bound = std::max(bytes / machine.bytes_per_second,
                                  bytes * static_cast<double>(row_counts[i]) / machine.flops_per_second);
    fmt::print("{{\"rows\": {}, \"ms\": {:.3f}, \"bound_ms\": {:.3f}, \"over_bound\": {:.3f}}}\n", row_counts[i],
               best[i] * 1e3, bound * 1e3, best[i] / bound);
  }
  fmt::print("{{\"threads\": {}, \"read_gb_per_s\": {:.2f}, \"fp32_gflop_per_s\": {:.1f}, \"weight_mb\": {:.1f}}}\n",
             compute_pool().num_threads(), machine.bytes_per_second / 1e9, machine.flops_per_second / 1e9, bytes / 1e6);
}

}  // namespace
}  // namespace speculators

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: verify_rows_benchmark FOLDER [seconds] [context]\n");
    return 2;
  }
  try {
    speculators::run(argv[1], argc > 2 ? std::stod(argv[2]) : 8, argc > 3 ? std::stoll(argv[3]) : 64);
  } catch (const std::exception& error) {
    fmt::print(stderr, "verify_rows_benchmark: {}\n", error.what());
    return 1;
  }
}
