// Stage 2, `generate-offline-data`: a prepared data set and an embedded verifier -> hs_<row>.safetensors of every row.
// `hidden_states.json` beside the files says which verifier and layers made them, so that a folder cannot be mixed.
// Source: reference pipeline.md 1.5; upstream's flags of the server (endpoint, concurrency, retries) have no use here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hidden_states/capture.h"

namespace speculators {

struct GenerateOfflineDataOptions {
  std::string model;  // verifier folder
  std::string preprocessed_data = "./output";
  std::optional<std::string> output;      // default: <preprocessed-data>/hidden_states
  std::vector<int64_t> target_layer_ids;  // empty: [2, n/2, n-3]
  bool last_layer_only = false;           // no others, whatever target_layer_ids says
  std::optional<int64_t> max_samples;
  bool validate_outputs = true;
  bool fail_on_error = false;
  int64_t max_consecutive_errors = 32;
  int64_t batch_tokens = 1024;
  int64_t world_size = 1, rank = 0;

  template <class Visitor>
  void options(Visitor&& option) {
    option("model", model, "verifier folder");
    option("preprocessed-data", preprocessed_data, "folder written by prepare-data");
    option("output", output, "folder of the files (default: PREPROCESSED-DATA/hidden_states)");
    option("target-layer-ids", target_layer_ids, "layers to keep besides the last (default: 2, n/2, n-3)");
    option("last-layer-only", last_layer_only, "keep the last layer alone, which is all that mtp trains on");
    option("max-samples", max_samples, "only the first so many rows");
    option("validate-outputs", validate_outputs,
           "read files that are already there as a whole, not only their headers");
    option("fail-on-error", fail_on_error, "stop at the first sample that cannot be run");
    option("max-consecutive-errors", max_consecutive_errors, "stop after so many failures in a row");
    option("batch-tokens", batch_tokens, "tokens of one pass through the verifier");
    option("world-size", world_size, "machines that share the work");
    option("rank", rank, "this machine, from 0");
  }
};

struct GenerateOfflineDataReport {
  CaptureReport capture;
  std::string output;
  std::vector<int64_t> layer_ids;
  int64_t num_rows = 0;  // of this machine
};

// Throws UsageError for options that contradict each other or the folder, DataError for what cannot be read or written,
// Interrupted after Ctrl-C; finished files stay.
GenerateOfflineDataReport generate_offline_data(const GenerateOfflineDataOptions& options);

// The report as lines for people: counts, rates, where the time went, the first failures.
std::string describe(const GenerateOfflineDataReport& report);

// Rows [first, last) of machine `rank`: contiguous, the first machines take the remainder.
std::pair<int64_t, int64_t> rows_of_rank(int64_t num_rows, int64_t world_size, int64_t rank);

}  // namespace speculators
