// The training loop: packed rows in, a trained draft and its checkpoints out. Everything it works with is handed over
// finished; what it knows of an algorithm is TrainableDraft. Source: reference algorithms.md 14, 16.
// One thread; stops at SIGINT and SIGTERM after the step in hand (base/progress.h).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "draft/trainable.h"
#include "train/batch_loader.h"
#include "train/checkpoint_writer.h"
#include "train/metric_loggers.h"
#include "train/optimisers.h"
#include "train/schedule.h"
#include "train/training_metrics.h"

namespace speculators {

struct TrainerOptions {
  int64_t epochs = 20;
  std::optional<int64_t> max_steps;   // ends training, the epoch in hand included
  int64_t gradient_accumulation = 1;  // packed rows per update
  double max_gradient_norm = 1;
  int64_t log_freq = 1;
  double checkpoint_freq = 1;  // epochs; below 1: several per epoch
  bool save_best = false;
  uint64_t seed = 42;  // of every draw in a forward pass
  torch::Device device = torch::kCPU;
};

struct TrainerParts {
  TrainableDraft& draft;
  BatchLoader& train;
  BatchLoader& validation;
  Optimisers& optimisers;
  Schedule schedule;
  CheckpointWriter& checkpoints;
  MetricLoggers& loggers;
};

// One update, as hooks and loggers see it.
struct StepReport {
  int64_t step = 0;  // global, from 1
  double loss = 0, gradient_norm = 0;
  int64_t num_tokens = 0, num_dropped = 0;
  double needed_flops = 0;
  double queue_s = 0, copy_s = 0, forward_s = 0, backward_s = 0, clip_s = 0, optimiser_s = 0;
  MetricPairs metrics;
  double total_s() const { return queue_s + copy_s + forward_s + backward_s + optimiser_s; }
};

struct TrainerHooks {
  std::function<void(const StepReport&)> on_step = [](const StepReport&) {};
};

class Trainer {
 public:
  // Throws UsageError for options that cannot be.
  Trainer(TrainerParts parts, TrainerOptions options, TrainerHooks hooks = {});
  // Goes on from a saved state; masters and moments are loaded already.
  void resume(const ResumePoint& point);
  // Kept with every state, so that resuming inside an epoch can tell whether its rows are still the same.
  void set_data_fingerprint(const std::string& text) { position_.data_fingerprint = text; }
  // Trains to the end. Throws Interrupted once a stop was asked for and the state is saved; DataError for a non-finite
  // loss.
  void run();
  const TrainingPosition& position() const { return position_; }

 private:
  bool finished() const;
  void say(const std::string& message);
  std::vector<LoadedBatch> next_rows();
  StepReport forward_and_backward(const std::vector<LoadedBatch>& rows);
  void check_finite(const StepReport& report, const std::vector<LoadedBatch>& rows) const;
  void update(StepReport& report);
  void log_step(const StepReport& report);
  void save_inside_epoch();
  void stop_if_asked();
  void finish_epoch();
  int64_t steps_in_epoch() const;
  int64_t expected_steps() const;
  bool is_epoch_due() const;
  void save_epoch(const Metrics& validation);
  void keep_resumed(double loss);
  void keep_if_best(const Metrics& validation, bool is_best);
  Metrics validate();

  TrainerParts parts_;
  TrainerOptions options_;
  TrainerHooks hooks_;
  TrainingPosition position_;
  std::vector<NamedParameter> parameters_;
  int64_t batches_in_epoch_ = 0;
  int64_t saved_step_ = -1;    // global step of the newest epoch folder
  bool validated_ = false;     // where the run stands is validated
  double seconds_waited_ = 0;  // for rows, up to the step in hand
  std::function<void(const StepReport&)> show_progress_;
};

}  // namespace speculators
