// Packed training rows, built ahead of the trainer by background threads and handed out in the sampler's order.
// The rows depend on seed, epoch and batch number only, never on the threads. Source: reference
// algorithms.md 12.3-12.5. One trainer thread calls start and next.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "draft/train_batch.h"
#include "train/multipack_sampler.h"
#include "train/sample_source.h"

namespace speculators {

struct LoaderOptions {
  torch::Dtype dtype = torch::kFloat32;  // of the packed hidden states
  int64_t num_workers = 1;               // threads, at least 1
  int64_t num_prefetched = 4;            // finished rows that may wait
  double noise_std = 0;                  // half-width of the uniform noise on the aux states; 0: none
  int64_t max_consecutive_failures = 20;
};

// Rows [first, last) of the data set.
struct RowRange {
  int64_t first = 0, last = 0;
  int64_t size() const { return last - first; }
};

struct LoadedBatch {
  TrainBatch batch;
  int64_t num_tokens = 0;             // without padding
  int64_t num_dropped = 0;            // samples left out
  std::vector<std::string> problems;  // why, for those that have something to say
};

class BatchLoader {
 public:
  using Prepare = std::function<TrainDocument(TrainDocument)>;
  // `source` must outlive the loader. `prepare` is called from the worker threads.
  BatchLoader(const SampleSource& source, RowRange rows, const MultipackOptions& packing, Prepare prepare,
              LoaderOptions options);
  ~BatchLoader();
  int64_t num_batches(int64_t epoch) const;
  // Begins an epoch at batch number `first_batch`; the batches before it are never read.
  void start(int64_t epoch, int64_t first_batch = 0);
  // The next row of the epoch; nothing at its end. Rethrows what a worker met at this row; throws DataError after too
  // many dropped samples in a row.
  std::optional<LoadedBatch> next();
  double seconds_waited() const { return seconds_waited_; }  // in next(), since construction

 private:
  class Workers;
  LoadedBatch build(int64_t epoch, const std::vector<int64_t>& samples) const;
  TrainDocument add_noise(TrainDocument document, int64_t epoch, int64_t row) const;
  void count_failures(const LoadedBatch& loaded);

  const SampleSource& source_;
  RowRange rows_;
  MultipackOptions packing_;
  MultipackSampler sampler_;
  Prepare prepare_;
  LoaderOptions options_;
  std::unique_ptr<Workers> workers_;
  double seconds_waited_ = 0;
  int64_t consecutive_failures_ = 0;
};

// [0, boundary) and [boundary, rows) with boundary = trunc(rows * ratio). Throws UsageError when a part is empty.
std::pair<RowRange, RowRange> split_rows(int64_t num_rows, double train_ratio);

}  // namespace speculators
