// Which samples share a packed row: longest-first bin packing of a shuffled epoch, the same on every rank.
// Source: reference algorithms.md 12.4 (upstream's MultipackDistributedBatchSamplerV2). No torch here; const after
// construction.
#pragma once

#include <cstdint>
#include <vector>

namespace speculators {

struct MultipackOptions {
  int64_t row_length = 8192;  // tokens in one packed row
  int64_t num_replicas = 1;   // ranks
  int64_t rank = 0;
  uint64_t seed = 0;
};

class MultipackSampler {
 public:
  // `lengths` of all samples in tokens; those above row_length count as row_length (they are truncated when packed).
  // Throws UsageError for a row length, replica count or rank that cannot be.
  MultipackSampler(std::vector<int64_t> lengths, MultipackOptions options);
  // The epoch's batches of this rank: indices into `lengths`, in the order they are packed. Pure: any epoch, any time.
  std::vector<std::vector<int64_t>> batches(int64_t epoch) const;

 private:
  std::vector<int64_t> lengths_;
  MultipackOptions options_;
};

}  // namespace speculators
