// Capture: runs samples through the embedded verifier, many in one pass, and keeps the hidden states of each in a file
// of its own. What is done stays done: a stopped or killed run goes on where it was. Dims: T tokens of a sample, A aux
// layers, Dv hidden size.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "data/sample.h"
#include "verifier/verifier.h"

namespace speculators {

struct CaptureOptions {
  std::vector<int64_t> layer_ids;       // aux layer ids, then the last layer: the slices of a file
  int64_t batch_tokens = 1024;          // rows of one pass; longer samples take several
  bool validate_outputs = true;         // existing files are read whole, not only their headers and ids
  bool fail_on_error = false;           // the first sample that cannot be run ends the run
  int64_t max_consecutive_errors = 32;  // so many one behind the other end it in any case
};

struct CaptureFailure {
  int64_t row = 0;
  std::string reason;
};

struct CaptureReport {
  int64_t num_captured = 0;               // files written
  int64_t num_kept = 0;                   // files that were there and valid
  std::vector<CaptureFailure> damaged;    // files that were there and had to be made again
  std::vector<CaptureFailure> failures;   // samples without a file
  int64_t num_tokens = 0, num_bytes = 0;  // of what was captured
  double verify_seconds = 0, write_seconds = 0, check_seconds = 0;
};

// Layer ids of a file: `target_layer_ids`, or [2, n/2, n-3] when there are none, then n. Throws UsageError for ids that
// collide or lie outside [0, n], and for an n whose defaults do.
std::vector<int64_t> capture_layer_ids(std::vector<int64_t> target_layer_ids, int64_t num_layers);

// Samples [first, last) of the data set get their hs_<row>.safetensors in `folder`, which exists; row is the index in
// `samples`. Valid files are kept, damaged and foreign ones made again. Throws Interrupted after Ctrl-C, DataError when
// files cannot be written, the disk is too small, or too many samples fail.
CaptureReport capture(Verifier& verifier, std::span<const Sample> samples, int64_t first, int64_t last,
                      const CaptureOptions& options, const fs::path& folder);

}  // namespace speculators
