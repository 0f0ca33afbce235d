#include "train/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "base/errors.h"
#include "base/progress.h"
#include "train/collate.h"

namespace speculators {
namespace {

// Seconds since the last call. On a GPU the work must be waited for to be timed; loss and norm are read every step
// anyway.
class Lap {
 public:
  double operator()() {
    const auto now = Clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

// One seed per packed row: accumulation and resuming change nothing.
uint64_t row_seed(uint64_t seed, int64_t epoch, int64_t batch) {
  uint64_t value =
      seed + 0x9e3779b97f4a7c15u * (static_cast<uint64_t>(epoch) * 1000003u + static_cast<uint64_t>(batch) + 1);
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

std::string rows_text(const std::vector<LoadedBatch>& rows) {
  std::vector<int64_t> samples;
  for (const auto& row : rows)
    samples.insert(samples.end(), row.batch.sample_rows.begin(), row.batch.sample_rows.end());
  return fmt::format("{}", fmt::join(samples, ", "));
}

// Python's round: halves go to the even neighbour.
int64_t round_half_even(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

void check_options(const TrainerOptions& options) {
  const auto check = [](bool good, const char* what) {
    if (!good) throw UsageError(what);
  };
  check(options.epochs >= 1, "--epochs: expected at least 1");
  check(!options.max_steps || *options.max_steps >= 1, "--max-steps: expected at least 1");
  check(options.gradient_accumulation >= 1, "--gradient-accumulation-steps: expected at least 1");
  check(options.log_freq >= 1, "--log-freq: expected at least 1");
  check(options.checkpoint_freq > 0, "--checkpoint-freq: expected more than 0");
  check(options.checkpoint_freq < 1 || std::floor(options.checkpoint_freq) == options.checkpoint_freq,
        "--checkpoint-freq: expected a whole number of epochs, or a fraction below 1");
}

std::string progress_note(const StepReport& report) {
  std::string note = fmt::format("loss {}", short_number(report.loss));
  const auto accuracies = position_accuracies(report.metrics);
  const size_t shown = std::min<size_t>(accuracies.size(), 4);
  if (shown > 0) note += "  acc";
  for (size_t i = 0; i < shown; ++i) note += fmt::format(" {:.2f}", accuracies[i]);
  if (const auto length = estimated_acceptance_length(report.metrics)) note += fmt::format("  length {:.2f}", *length);
  return note + fmt::format("  {:.0f} tokens/s", static_cast<double>(report.num_tokens) / report.total_s());
}

}  // namespace

Trainer::Trainer(TrainerParts parts, TrainerOptions options, TrainerHooks hooks)
    : parts_(std::move(parts)), options_(options), hooks_(std::move(hooks)), parameters_(parts_.draft.parameters()) {
  check_options(options_);
  check_schedule(parts_.schedule);
}

void Trainer::resume(const ResumePoint& point) {
  const std::string fingerprint = position_.data_fingerprint;
  position_ = point.position;
  position_.data_fingerprint = fingerprint;
  const bool is_epoch = point.folder.filename() == std::to_string(position_.epoch);
  if (is_epoch) saved_step_ = position_.global_step;
  validated_ = point.validated;
  if (is_epoch && validated_) keep_resumed(point.loss);
  if (!validated_ || !position_.epoch_finished) return;
  ++position_.epoch;
  position_.local_step = position_.next_batch = 0;
  position_.epoch_finished = false;
}

// What followed the validation of the epoch that we resumed from may not have been done.
void Trainer::keep_resumed(double loss) {
  const bool is_best = options_.save_best ? loss <= position_.best_loss : loss < position_.best_loss;
  if (!is_best) return;
  if (position_.epoch_finished) position_.best_loss = loss;  // behind max_steps the epoch's own loss is yet to come
  parts_.checkpoints.mark_best(position_.epoch);
  if (options_.save_best) parts_.checkpoints.keep_only(position_.epoch);
}

void Trainer::run() {
  Progress progress("training", std::max<int64_t>(0, parts_.schedule.total_steps - position_.global_step), "steps");
  show_progress_ = [&](const StepReport& report) { progress.advance(1, progress_note(report)); };
  const int64_t first_step = position_.global_step;
  while (!finished()) {
    batches_in_epoch_ = parts_.train.num_batches(position_.epoch);
    progress.expect(expected_steps() - first_step);
    parts_.train.start(position_.epoch, position_.next_batch);
    for (auto rows = next_rows(); !rows.empty(); rows = next_rows()) {
      StepReport report = forward_and_backward(rows);
      check_finite(report, rows);
      update(report);
      log_step(report);
      save_inside_epoch();
      stop_if_asked();
    }
    finish_epoch();
  }
}

void Trainer::say(const std::string& message) {
  for (auto& logger : parts_.loggers) logger->message(message);
}

bool Trainer::finished() const {
  const bool enough = options_.max_steps && position_.global_step >= *options_.max_steps;
  return position_.epoch >= options_.epochs || (enough && validated_ && !position_.epoch_finished);
}

// The packed rows of one update; none at the end of the epoch or of training.
std::vector<LoadedBatch> Trainer::next_rows() {
  std::vector<LoadedBatch> rows;
  if (options_.max_steps && position_.global_step >= *options_.max_steps) return rows;
  while (static_cast<int64_t>(rows.size()) < options_.gradient_accumulation) {
    auto row = parts_.train.next();
    if (!row) break;
    for (const auto& problem : row->problems) say("left out: " + problem);
    rows.push_back(std::move(*row));
  }
  return rows;
}

StepReport Trainer::forward_and_backward(const std::vector<LoadedBatch>& rows) {
  StepReport report;
  report.step = position_.global_step + 1;
  report.queue_s = parts_.train.seconds_waited() - std::exchange(seconds_waited_, parts_.train.seconds_waited());
  clear_gradients(parameters_);
  for (const LoadedBatch& row : rows) {
    Lap lap;
    const TrainBatch batch = to_device(row.batch, options_.device);
    report.copy_s += lap();
    const LossResult result =
        parts_.draft.forward(batch, row_seed(options_.seed, position_.epoch, position_.next_batch++));
    const double loss = result.loss.item<double>();
    report.forward_s += lap();
    if (std::isfinite(loss) && result.loss.requires_grad()) {
      (result.loss / static_cast<double>(rows.size())).backward();
    }
    report.backward_s += lap();
    report.loss += loss / static_cast<double>(rows.size());
    report.num_tokens += row.num_tokens;
    report.num_dropped += row.num_dropped;
    report.needed_flops += parts_.draft.needed_flops(batch);
    add_pairs(report.metrics, result.metrics);
  }
  Lap lap;
  report.gradient_norm = clip_gradients(parameters_, options_.max_gradient_norm);
  report.clip_s = lap();
  report.backward_s += report.clip_s;
  return report;
}

void Trainer::check_finite(const StepReport& report, const std::vector<LoadedBatch>& rows) const {
  if (std::isfinite(report.loss) && std::isfinite(report.gradient_norm)) return;
  throw DataError(
      fmt::format("training step {} (epoch {}): expected a finite loss and gradient, found loss {} and gradient norm "
                  "{}; samples {}; look at their hidden states, or lower --lr and resume",
                  report.step, position_.epoch, report.loss, report.gradient_norm, rows_text(rows)));
}

void Trainer::update(StepReport& report) {
  Lap lap;
  const double factor = schedule_factor(parts_.schedule, position_.global_step);
  for (auto& optimiser : parts_.optimisers) optimiser->step(factor);
  report.optimiser_s = lap();
  ++position_.global_step;
  ++position_.local_step;
}

// The validation loss decides which epoch is best. A state saved before validating does not know it; resume adds it.
void Trainer::finish_epoch() {
  position_.epoch_finished = position_.next_batch >= batches_in_epoch_;
  if (!options_.save_best && is_epoch_due()) save_epoch({});
  const Metrics validation = validate();
  const double loss = validation.at("loss_epoch");
  const bool is_best = loss < position_.best_loss;
  if (is_best) position_.best_loss = loss;
  if (options_.save_best) {
    keep_if_best(validation, is_best);
  } else if (saved_step_ == position_.global_step) {
    parts_.checkpoints.write_validation(position_.epoch, validation);
    if (is_best) parts_.checkpoints.mark_best(position_.epoch);
  }
  validated_ = true;
  if (!position_.epoch_finished) return;  // max_steps: a longer run goes on inside this epoch
  ++position_.epoch;
  position_.local_step = position_.next_batch = 0;
  position_.epoch_finished = false;
}

// --checkpoint-freq, and always at the end of training.
bool Trainer::is_epoch_due() const {
  const bool is_last = position_.epoch + 1 >= options_.epochs || !position_.epoch_finished;
  if (options_.checkpoint_freq < 1 || is_last || position_.epoch == 0) return true;
  return (position_.epoch + 1) % static_cast<int64_t>(options_.checkpoint_freq) == 0;
}

void Trainer::save_epoch(const Metrics& validation) {
  if (saved_step_ == position_.global_step) return parts_.checkpoints.link_epoch(position_);  // where we resumed
  parts_.checkpoints.save_epoch(position_, parts_.draft, parts_.optimisers, validation);
  saved_step_ = position_.global_step;
  say(fmt::format("saved {} at step {}", (parts_.checkpoints.save_path() / std::to_string(position_.epoch)).string(),
                  position_.global_step));
}

void Trainer::keep_if_best(const Metrics& validation, bool is_best) {
  if (!is_best)
    return parts_.checkpoints.save_aside(CheckpointWriter::kLast, position_, parts_.draft, parts_.optimisers);
  save_epoch(validation);
  parts_.checkpoints.mark_best(position_.epoch);
  parts_.checkpoints.keep_only(position_.epoch);
}

int64_t Trainer::steps_in_epoch() const {
  return (batches_in_epoch_ + options_.gradient_accumulation - 1) / options_.gradient_accumulation;
}

// Of the whole run, as far as this epoch tells: epochs pack differently.
int64_t Trainer::expected_steps() const {
  const int64_t left = steps_in_epoch() * (options_.epochs - position_.epoch) - position_.local_step;
  const int64_t steps = position_.global_step + left;
  return options_.max_steps ? std::min(steps, *options_.max_steps) : steps;
}

// Several checkpoints per epoch; none when the epoch's own is near.
void Trainer::save_inside_epoch() {
  if (options_.checkpoint_freq >= 1 || options_.save_best) return;
  const int64_t steps = steps_in_epoch();
  const int64_t interval = std::max<int64_t>(1, round_half_even(static_cast<double>(steps) * options_.checkpoint_freq));
  const int64_t left = steps - position_.local_step;
  const bool near_end = static_cast<double>(left) < 0.25 * static_cast<double>(interval);
  if (position_.local_step % interval == 0 && left > 0 && !near_end) save_epoch({});
}

void Trainer::stop_if_asked() {
  if (!stop_requested()) return;
  parts_.checkpoints.save_aside(CheckpointWriter::kInterrupted, position_, parts_.draft, parts_.optimisers);
  check_stop(fmt::format("step {} is saved in {}; the same command goes on from there", position_.global_step,
                         (parts_.checkpoints.save_path() / CheckpointWriter::kInterrupted).string()));
}

Metrics Trainer::validate() {
  const torch::NoGradGuard no_grad;
  MetricPairs pool;
  int64_t num_batches = 0;
  parts_.validation.start(position_.epoch);
  while (auto row = parts_.validation.next()) {
    const TrainBatch batch = to_device(row->batch, options_.device);
    const LossResult result = parts_.draft.forward(batch, row_seed(/*seed=*/0, /*epoch=*/0, num_batches++));
    MetricPairs pairs = result.metrics;
    pairs["loss"] = {result.loss.item<double>(), 1};
    add_pairs(pool, pairs);
    stop_if_asked();
  }
  if (num_batches == 0) {
    throw DataError(
        "validation: expected at least one packed row, found none; lower --train-data-ratio or prepare more data");
  }
  Metrics named = values_of(pool, "val/", "_epoch");
  if (const auto length = estimated_acceptance_length(pool)) named["val/estimated_acceptance_length_epoch"] = *length;
  named["epoch"] = static_cast<double>(position_.epoch);
  for (auto& logger : parts_.loggers) logger->log(position_.global_step, named);
  return values_of(pool, "", "_epoch");
}

void Trainer::log_step(const StepReport& report) {
  hooks_.on_step(report);
  show_progress_(report);
  if (position_.global_step % options_.log_freq != 0) return;
  Metrics values = values_of(report.metrics, "train/");
  values["train/loss"] = report.loss;
  values["train/gradient_norm"] = report.gradient_norm;
  values["train/error_records"] = static_cast<double>(report.num_dropped);
  values["epoch"] = static_cast<double>(position_.epoch);
  const double factor = schedule_factor(parts_.schedule, position_.global_step - 1);
  const bool single = parts_.optimisers.size() == 1;
  for (const auto& optimiser : parts_.optimisers) {
    values[single ? "lr" : "lr/" + optimiser->name()] = optimiser->base_lr() * factor;
  }
  const double total = report.total_s();
  values["profile/queue_ms"] = report.queue_s * 1e3;
  values["profile/h2d_ms"] = report.copy_s * 1e3;
  values["profile/fetch_ms"] = (report.queue_s + report.copy_s) * 1e3;
  values["profile/fwd_ms"] = report.forward_s * 1e3;
  values["profile/bwd_ms"] = report.backward_s * 1e3;
  values["profile/clip_ms"] = report.clip_s * 1e3;
  values["profile/opt_ms"] = report.optimiser_s * 1e3;
  values["profile/step_ms"] = total * 1e3;
  values["profile/tokens_per_s"] = static_cast<double>(report.num_tokens) / total;
  values["profile/fetch_frac"] = (report.queue_s + report.copy_s) / total;
  values["profile/gflop_per_s"] = report.needed_flops / 1e9 / (report.forward_s + report.backward_s);
  for (auto& logger : parts_.loggers) logger->log(position_.global_step, values);
}

}  // namespace speculators
