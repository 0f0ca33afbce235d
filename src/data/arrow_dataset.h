// The prepared data set: a Hugging Face `datasets` folder (save_to_disk layout)
// with columns input_ids list<int64>, loss_mask list<int64>, seq_len int64.
// Arrow IPC stream shards, `state.json`, `dataset_info.json`. Source: reference
// pipeline.md 2.2; docs/formats/dataset.md. The bytes depend on the samples
// only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "data/sample.h"

namespace speculators {

struct DatasetLayout {
  int64_t max_shard_bytes = 500'000'000;  // the default of `datasets`
  int64_t max_batch_rows = 1000;
};

// Writes the data set's files into `folder`, which exists and holds none.
// `fingerprint` says what it was made from.
void write_dataset(const fs::path& folder, const std::vector<Sample>& samples, const std::string& fingerprint,
                   const DatasetLayout& layout = {});

// The fingerprint given at writing. Throws DataError when there is no data set.
std::string read_fingerprint(const fs::path& folder);

// Whether `folder` holds a finished data set (state.json comes last).
bool has_dataset(const fs::path& folder);

// Reads a data set that we, upstream or `datasets` wrote. Other columns are
// ignored. Throws DataError naming the file for damage, missing columns,
// missing values and lists of different lengths.
std::vector<Sample> read_dataset(const fs::path& folder);

// The names of the data set's own files in `folder` (what --overwrite may
// delete).
std::vector<fs::path> dataset_files(const fs::path& folder);

}  // namespace speculators
