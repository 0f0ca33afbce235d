// Stage 4, `train`: a prepared data set and its hidden states -> speculator checkpoints. From options to the end.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/files.h"
#include "train/train_options.h"
#include "train/trainer.h"

namespace speculators {

struct TrainReport {
  bool already_trained = false;  // nothing was left to do
  int64_t num_steps = 0;         // updates, those of earlier runs included
  fs::path checkpoint;           // the best epoch, else the newest; the save path after --dry-run
  double best_loss = 0;          // validation loss of the best epoch; 0: none is known
  // Of this run alone:
  double seconds = 0, tokens_per_s = 0, waited_fraction = 0, gflop_per_s = 0;
};

// Trains to the end, going on from what is in --save-path. `notes` (run.yaml, train_command.txt: name to content) go
// into the save path and every checkpoint. Throws UsageError, DataError, and Interrupted once a stop was asked for and
// the state is saved.
TrainReport train(const TrainOptions& options, const std::map<std::string, std::string>& notes,
                  const TrainerHooks& hooks = {});

}  // namespace speculators
