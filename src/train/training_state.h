// What a killed run needs to go on with a bit-equal loss curve: fp32 masters and moments (training_state.tensors)
// and the cursor (training_state.json). Source: reference algorithms.md 16; docs/formats/training_state.md.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "base/files.h"
#include "draft/trainable.h"
#include "train/optimisers.h"

namespace speculators {

// Where training stands. Random draws follow from seed, epoch and batch number, so no generator is kept.
struct TrainingPosition {
  int64_t epoch = 0;
  int64_t local_step = 0;       // updates done in this epoch
  int64_t global_step = 0;      // updates done in all
  int64_t next_batch = 0;       // packed row of this epoch that comes next
  bool epoch_finished = false;  // all rows of the epoch are done; validation may be missing
  double best_loss = std::numeric_limits<double>::infinity();  // lowest validation loss so far
  std::string data_fingerprint;                                // what next_batch counts in: rows, row length, seed
};

// Into an existing folder. Copies from any device.
void write_training_state(const fs::path& folder, const TrainingPosition& position,
                          const std::vector<NamedParameter>& parameters, const Optimisers& optimisers);

bool has_training_state(const fs::path& folder);
// Throws DataError for damage or another version.
TrainingPosition read_training_position(const fs::path& folder);
// Copies masters and moments back. Throws DataError listing what is missing or misshapen (another draft or optimiser).
void load_training_state(const fs::path& folder, TrainableDraft& draft, const Optimisers& optimisers);

}  // namespace speculators
