// A verifier's whole forward pass for few rows of one sequence, logits of every row: what plain decoding (1 row) and
// verification (K + 1 rows) cost, beside what the machine allows.
//   verify_rows_benchmark FOLDER [seconds = 8] [context = 64]
// Row counts and probes of the machine take turns; times and rates are medians, since on a shared machine the best of
// either is a lucky moment of its own. Prints one JSON line per row count, then the machine's figures;
// tools/decode_vs_llama_cpp.py reads them.
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

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void run(const std::string& folder, double seconds, int64_t context) {
  const auto verifier = load_verifier(folder);
  const auto pool = verifier->make_kv_pool();
  KvSequence sequence(*pool);
  const auto prompt = some_tokens(context, 1);
  verifier->forward({.sequences = {{&sequence, prompt, 1}}});
  const std::vector<int64_t> row_counts = {1, 2, 4, 8};
  std::vector<std::vector<double>> times(row_counts.size());
  std::vector<double> read_rates, flop_rates;
  MachineProbe probe(verifier->weight_bytes());
  const auto start = Clock::now();
  for (int64_t turn = 0; turn == 0 || seconds_since(start) < seconds; ++turn) {
    for (size_t i = 0; i < row_counts.size(); ++i) {
      const auto tokens = some_tokens(row_counts[i], turn);
      const auto begin = Clock::now();
      verifier->forward({.sequences = {{&sequence, tokens, row_counts[i]}}});
      times[i].push_back(seconds_since(begin));
      sequence.truncate(context);
    }
    const MachineFigures look = probe.look(compute_pool());
    read_rates.push_back(look.bytes_per_second);
    flop_rates.push_back(look.flops_per_second);
  }
  const auto bytes = static_cast<double>(verifier->weight_bytes());  // two a weight, and two operations a row
  const double read_rate = median(read_rates), flop_rate = median(flop_rates);
  for (size_t i = 0; i < row_counts.size(); ++i) {
    const double bound = std::max(bytes / read_rate, bytes * static_cast<double>(row_counts[i]) / flop_rate);
    fmt::print("{{\"rows\": {}, \"ms\": {:.3f}, \"best_ms\": {:.3f}, \"bound_ms\": {:.3f}, \"over_bound\": {:.3f}}}\n",
               row_counts[i], median(times[i]) * 1e3, *std::min_element(times[i].begin(), times[i].end()) * 1e3,
               bound * 1e3, median(times[i]) / bound);
  }
  fmt::print("{{\"threads\": {}, \"read_gb_per_s\": {:.2f}, \"fp32_gflop_per_s\": {:.1f}, \"weight_mb\": {:.1f}}}\n",
             compute_pool().num_threads(), read_rate / 1e9, flop_rate / 1e9, bytes / 1e6);
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
