// Where training documents come from: rows of a prepared data set joined with the hidden states kept for each row.
// Source: reference algorithms.md 12.1. Dims: n tokens of a document, A aux layers, Dv verifier hidden size.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/files.h"
#include "draft/train_batch.h"

namespace speculators {

// A document, or why there is none. An empty problem without a document: left out on purpose (--on-missing skip).
struct LoadedDocument {
  std::optional<TrainDocument> document;
  std::string problem;
};

class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t num_rows() const = 0;
  virtual int64_t length(int64_t row) const = 0;  // tokens, for packing
  // Safe from several threads at once. Throws DataError for what will not get better with the next row.
  virtual LoadedDocument load(int64_t row) const = 0;
  // Throws DataError for the first row without usable hidden states, from sizes and token ids alone.
  virtual void check_all() const {}
  virtual TrainDocument empty_document() const = 0;  // no rows, the right widths
};

// Files with any number of aux layers, which are left out: A = 0.
inline constexpr int64_t kAnyAuxLayers = -1;

struct PreparedFolder {
  fs::path data_path;                // written by prepare-data
  fs::path hidden_states_path;       // holds hs_<row>.safetensors
  int64_t num_aux_layers = 3;        // A, or kAnyAuxLayers
  int64_t hidden_size = 0;           // Dv
  std::string on_missing = "raise";  // raise, warn, skip: what a missing or damaged file does
};

// Hidden states are memory-mapped and never copied here. Throws DataError when the data set cannot be read or is empty.
std::unique_ptr<SampleSource> open_prepared_folder(const PreparedFolder& folder);

// The stored tensors of one file as views into its map: aux [n, A*Dv] strided, last [n, Dv], ids [n]. Mask and
// positions stay undefined. Float8 states are scaled back to bf16. Throws DataError for damage, other sizes, non-finite
// values.
TrainDocument map_hidden_states(const fs::path& path, int64_t num_aux_layers, int64_t hidden_size);

}  // namespace speculators
