// The folder of a training run: one speculator per saved epoch with what resuming needs, and links to them.
//   <save>/3/                 config.json, model.safetensors (bf16, for serving), training_state.*, val_metrics.json,
//   notes <save>/interrupted, last  the same, for a run that was stopped, and (with --save-best) of the newest epoch
//   <save>/epoch3_end -> 3, epoch3_step500 -> 3, checkpoint_best -> 3
// A kill at any moment leaves folders that are whole. Source: reference algorithms.md 16.1-16.3.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/files.h"
#include "train/metric_loggers.h"
#include "train/training_state.h"

namespace speculators {

struct CheckpointParts {
  fs::path save_path;
  // Writes config.json and model.safetensors of the draft as it is now into a folder that is there and empty.
  std::function<void(const fs::path& folder)> save_for_serving;
  std::map<std::string, std::string> notes;  // run.yaml, train_command.txt: file name to content
};

class CheckpointWriter {
 public:
  explicit CheckpointWriter(CheckpointParts parts) : parts_(std::move(parts)) {}

  // The epoch's folder and its link; `validation` goes along when it is known already. Removes "interrupted" and
  // "last".
  void save_epoch(const TrainingPosition& position, TrainableDraft& draft, const Optimisers& optimisers,
                  const Metrics& validation = {});
  // The last part of save_epoch alone, for a folder that is whole.
  void link_epoch(const TrainingPosition& position);
  // A state to resume from that is no epoch of its own: kInterrupted or kLast.
  void save_aside(const std::string& name, const TrainingPosition& position, TrainableDraft& draft,
                  const Optimisers& optimisers);
  bool is_saved(int64_t epoch) const;
  void write_validation(int64_t epoch, const Metrics& validation);
  void mark_best(int64_t epoch);
  // Removes the other epochs' folders and links; nothing that this class did not write (--save-best).
  void keep_only(int64_t epoch);
  // Writes the draft straight into the save path (--dry-run), beside whatever is there.
  void save_plain();
  const fs::path& save_path() const { return parts_.save_path; }

  static constexpr const char* kInterrupted = "interrupted";
  static constexpr const char* kLast = "last";

 private:
  void save(const std::string& name, const TrainingPosition& position, TrainableDraft& draft,
            const Optimisers& optimisers, const Metrics& validation);
  CheckpointParts parts_;
};

struct ResumePoint {
  fs::path folder;
  TrainingPosition position;
  bool validated = false;  // its validation is known
  double loss = INFINITY;  // of that validation, when the folder is an epoch's
};

// Puts back what a kill left half-renamed, removes temporaries, and finds the newest state. Nothing for a fresh folder.
// Throws DataError when there are epoch folders but none that can be resumed.
std::optional<ResumePoint> find_resume_point(const fs::path& save_path);

}  // namespace speculators
