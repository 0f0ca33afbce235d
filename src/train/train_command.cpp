#include "train/train_command.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/errors.h"
#include "base/json.h"
#include "hidden_states/generate_offline_data.h"
#include "hidden_states/hidden_states.h"
#include "train/draft_setup.h"
#include "train/memory_plan.h"

namespace speculators {
namespace {

torch::Device choose_device(const TrainOptions& options) {
  if (options.device == "cpu") return torch::kCPU;
  if (!at::hasCUDA())
    throw UsageError("--device cuda: expected a CUDA build of libtorch and a GPU, found none; use --device cpu");
  return torch::kCUDA;
}

// What follows from device and upstream's flags.
TrainOptions with_derived(TrainOptions options, torch::Device device) {
  const std::string dtype =
      options.hidden_states_dtype.value_or(device.is_cuda() ? "bfloat16" : options.draft.compute_dtype);
  options.draft.compute_dtype = dtype;
  // The fused operations are for a CPU.
  if (options.loss_implementation == "eager" || device.is_cuda()) options.draft.plain_ops = true;
  return options;
}

fs::path hidden_states_folder(const TrainOptions& options) {
  return options.hidden_states_path ? fs::path(*options.hidden_states_path)
                                    : fs::path(options.data_path) / "hidden_states";
}

// The aux layers that the folder's files hold, as far as it says so.
std::optional<std::vector<int64_t>> find_stored_aux_layers(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  const Json json = read_json(path);
  auto found = JsonObject(json, path.string()).get_ints("layer_ids");
  if (!found.empty()) found.pop_back();  // the last layer
  return found;
}

// Other layers of the same count would go unnoticed. A draft that reads the last layer alone takes any.
void check_layer_ids(const fs::path& folder, const TrainableDraft& draft) {
  const fs::path path = folder / "hidden_states.json";
  const auto stored = find_stored_aux_layers(path);
  if (!stored || draft.aux_layer_ids().empty() || *stored == draft.aux_layer_ids()) return;
  throw UsageError(
      fmt::format("{}: expected hidden states of the draft's aux layers [{}], found [{}]; give the same "
                  "--target-layer-ids to generate-offline-data and train",
                  path.string(), fmt::join(draft.aux_layer_ids(), ", "), fmt::join(*stored, ", ")));
}

// --on-missing generate: the embedded verifier makes the files that are not there, before training starts.
void generate_missing(const TrainOptions& options, const TrainableDraft& draft, int64_t num_rows) {
  if (options.on_missing != "generate") return;
  int64_t row = 0;
  while (row < num_rows && fs::exists(hidden_states_path(hidden_states_folder(options), row))) ++row;
  if (row == num_rows) return;  // nothing to make: the verifier need not be one that we can run
  GenerateOfflineDataOptions request;
  request.model = options.verifier_name_or_path;
  request.preprocessed_data = options.data_path;
  request.output = hidden_states_folder(options).string();
  request.target_layer_ids = draft.aux_layer_ids();
  if (draft.aux_layer_ids().empty()) {  // like the files that are there, else the last layer alone
    request.target_layer_ids =
        find_stored_aux_layers(fs::path(*request.output) / "hidden_states.json").value_or(std::vector<int64_t>{});
    request.last_layer_only = request.target_layer_ids.empty();
  }
  request.validate_outputs = false;  // the loader looks at every value it reads
  generate_offline_data(request);
}

// A draft that reads the last hidden state alone takes files with any aux layers.
int64_t num_aux_layers(const TrainableDraft& draft) {
  return draft.aux_layer_ids().empty() ? kAnyAuxLayers : static_cast<int64_t>(draft.aux_layer_ids().size());
}

OptimiserOptions optimiser_options(const TrainOptions& options) {
  return {.optimiser = options.optimizer,
          .lr = options.lr,
          .weight_decay = options.weight_decay,
          .muon_lr = options.muon_lr.value_or(options.lr),
          .muon_momentum = options.muon_momentum,
          .muon_weight_decay = options.muon_weight_decay,
          .muon_ns_steps = options.muon_ns_steps,
          .muon_adjust_lr_fn = options.muon_adjust_lr_fn,
          .compat_upstream = options.muon_compat_upstream};
}

TrainerOptions trainer_options(const TrainOptions& options, torch::Device device) {
  return {.epochs = options.epochs,
          .max_steps = options.max_steps,
          .gradient_accumulation = options.gradient_accumulation_steps,
          .max_gradient_norm = options.max_grad_norm,
          .log_freq = options.log_freq,
          .checkpoint_freq = options.checkpoint_freq,
          .save_best = options.save_best,
          .seed = static_cast<uint64_t>(options.seed),
          .device = device};
}

Schedule make_schedule(const TrainOptions& options, int64_t batches_per_epoch) {
  const int64_t accumulation = std::max<int64_t>(1, options.gradient_accumulation_steps);
  const int64_t all_steps = options.epochs * ((batches_per_epoch + accumulation - 1) / accumulation);
  Schedule schedule{.type = options.scheduler_type, .num_cosine_cycles = options.scheduler_num_cosine_cycles};
  schedule.total_steps = options.scheduler_total_steps.value_or(options.max_steps.value_or(all_steps));
  const double ratio = options.scheduler_warmup_ratio.value_or(0.01);
  const auto from_ratio = static_cast<int64_t>(static_cast<double>(schedule.total_steps) * ratio);
  const int64_t derived = options.scheduler_warmup_ratio ? from_ratio : schedule.total_steps / 100;
  schedule.warmup_steps = options.scheduler_warmup_steps.value_or(derived);
  return schedule;
}

int64_t loader_threads(const TrainOptions& options) {
  const auto half = static_cast<int64_t>(std::thread::hardware_concurrency()) / 2;
  return std::clamp<int64_t>(options.num_workers, 1, std::max<int64_t>(1, half));
}

// Everything a run needs, in the order of its making. Members refer to earlier ones, so it never moves.
struct TrainingRun {
  TrainingRun(const TrainOptions& options, torch::Device device, const std::map<std::string, std::string>& notes);
  TrainingRun(const TrainingRun&) = delete;

  LoaderOptions loader_options(bool training) const;
  void check_fits() const;
  std::string data_fingerprint() const;
  MetricLoggers make_loggers(const std::map<std::string, std::string>& notes,
                             const std::optional<ResumePoint>& point) const;

  TrainOptions options;
  torch::Device device;
  DraftSetup setup;
  CheckpointWriter checkpoints;
  std::unique_ptr<SampleSource> source;
  std::unique_ptr<BatchLoader> train, validation;
  Optimisers optimisers;
};

TrainingRun::TrainingRun(const TrainOptions& given, torch::Device where,
                         const std::map<std::string, std::string>& notes)
    : options(given),
      device(where),
      setup(make_draft(options, device)),
      checkpoints(
          {.save_path = options.save_path,
           .save_for_serving = [this](const fs::path& to) { save_for_serving(to, setup.speculator, *setup.draft); },
           .notes = notes}) {
  if (options.dry_run) return;
  check_layer_ids(hidden_states_folder(options), *setup.draft);
  source = open_prepared_folder({.data_path = options.data_path,
                                 .hidden_states_path = hidden_states_folder(options),
                                 .num_aux_layers = num_aux_layers(*setup.draft),
                                 .hidden_size = setup.verifier.hidden_size,
                                 .on_missing = options.on_missing == "generate" ? "raise" : options.on_missing});
  generate_missing(options, *setup.draft, source->num_rows());
  source->check_all();  // hours may pass before the last row is read
  const auto [train_rows, validation_rows] = split_rows(source->num_rows(), options.train_data_ratio);
  const auto prepare = [this](TrainDocument document) { return setup.draft->prepare(std::move(document)); };
  const auto packing = [&](int64_t seed) {
    return MultipackOptions{.row_length = options.total_seq_len, .seed = static_cast<uint64_t>(seed)};
  };
  train = std::make_unique<BatchLoader>(*source, train_rows, packing(options.seed), prepare, loader_options(true));
  validation = std::make_unique<BatchLoader>(*source, validation_rows, packing(0), prepare, loader_options(false));
  optimisers = make_optimisers(setup.draft->parameters(), optimiser_options(options));
  check_fits();
}

LoaderOptions TrainingRun::loader_options(bool training) const {
  return {.dtype = options.draft.compute_dtype == "bfloat16" ? torch::kBFloat16 : torch::kFloat32,
          .num_workers = loader_threads(options),
          .num_prefetched = options.prefetch_factor,
          .noise_std = training ? options.noise_std : 0,
          .max_consecutive_failures = options.max_consecutive_generation_failures};
}

int64_t count_values(const std::vector<NamedParameter>& tensors) {
  int64_t count = 0;
  for (const auto& tensor : tensors) count += tensor.value.numel();
  return count;
}

// On a GPU the driver tells; here memory is the machine's.
void TrainingRun::check_fits() const {
  if (device.is_cuda()) return;
  const ModelConfig& layer = setup.speculator.layer_config;
  const int64_t length = options.total_seq_len, num_aux = static_cast<int64_t>(setup.draft->aux_layer_ids().size());
  MemoryNeeds needs;
  needs.parameters = count_values(setup.draft->parameters());
  for (const auto& optimiser : optimisers) needs.optimiser_values += count_values(optimiser->state());
  needs.saved_values = count_values(setup.draft->saved_tensors());
  const JsonObject config(setup.speculator.config, "config.json");
  needs.vocab_size = config.find_int("draft_vocab_size").value_or(layer.vocab_size);
  needs.frozen = (layer.vocab_size + needs.vocab_size) * layer.hidden_size;
  needs.row_values = length * (num_aux + 1) * setup.verifier.hidden_size;
  needs.bytes_per_row_value = options.draft.compute_dtype == "bfloat16" ? 2 : 4;
  needs.rows_in_flight = options.prefetch_factor + loader_threads(options) + 1;
  const auto block = config.find_int("block_size");
  // An MTP head is one layer, whatever its config says of the verifier's.
  const auto steps = num_aux == 0 ? setup.draft->speculative_tokens() : options.draft.ttt_steps;
  const int64_t num_layers = num_aux == 0 ? 1 : layer.num_hidden_layers;
  needs.query_rows = block ? std::min(options.draft.max_anchors, length) * *block : length * steps;
  needs.values_per_query = num_layers * (8 * layer.hidden_size + 4 * layer.intermediate_size);
  // DFlash2 keeps what goes into and comes out of its convolutions too.
  if (config.find_int("conv_kernel_size")) needs.values_per_query += num_layers * 6 * layer.hidden_size;
  // XPress keeps its refiner's passes: about eight rows of its rank and four of its MLP in each.
  if (const auto rank = config.find_int("xpress_rank")) {
    const int64_t width = 8 + 4 * config.find_int("xpress_mlp_ratio").value_or(1);
    needs.values_per_query += (1 + options.draft.consistency_passes) * width * *rank;
  }
  check_memory(plan_memory(needs), available_memory_bytes());
}

std::string TrainingRun::data_fingerprint() const {
  return fmt::format("{} rows, ratio {}, row length {}, seed {}, accumulation {}", source->num_rows(),
                     options.train_data_ratio, options.total_seq_len, options.seed,
                     options.gradient_accumulation_steps);
}

MetricLoggers TrainingRun::make_loggers(const std::map<std::string, std::string>& notes,
                                        const std::optional<ResumePoint>& point) const {
  MetricLoggers loggers;
  loggers.push_back(make_console_logger());
  loggers.push_back(make_json_lines_logger(fs::path(options.save_path) / "metrics.jsonl",
                                           point ? point->position.global_step + 1 : 0, point && point->validated));
  std::istringstream names(options.logger);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "tensorboard") {
      loggers.push_back(make_tensorboard_logger(fs::path(options.log_dir) / expand_run_name(options.run_name)));
    } else if (!name.empty()) {
      throw UsageError(fmt::format("--logger: expected tensorboard (metrics.jsonl is always written), got '{}'", name));
    }
  }
  const auto config = notes.find("run.yaml");
  for (auto& logger : loggers) {
    if (config != notes.end()) logger->log_config(config->second);
    for (const auto& warning : setup.warnings) logger->message("warning: " + warning);
  }
  return loggers;
}

void check_same_data(const ResumePoint& point, const std::string& fingerprint) {
  const TrainingPosition& position = point.position;
  const bool inside_epoch = position.next_batch > 0 && !position.epoch_finished;
  if (!inside_epoch || position.data_fingerprint == fingerprint) return;
  throw UsageError(
      fmt::format("{}: expected to go on inside epoch {} with {}, got {}; give the same options, another "
                  "--save-path, or --no-resume-from-checkpoint",
                  point.folder.string(), position.epoch, position.data_fingerprint, fingerprint));
}

// Sums over the steps of this run.
struct RunTotals {
  double tokens = 0, seconds = 0, queue_s = 0, flops = 0, compute_s = 0;
  void add(const StepReport& report) {
    tokens += static_cast<double>(report.num_tokens);
    seconds += report.total_s();
    queue_s += report.queue_s;
    flops += report.needed_flops;
    compute_s += report.forward_s + report.backward_s;
  }
};

fs::path newest_checkpoint(const fs::path& save_path) {
  const fs::path best = save_path / "checkpoint_best";
  if (fs::exists(best)) return best;
  const auto point = find_resume_point(save_path);
  return point ? point->folder : save_path;
}

}  // namespace

TrainReport train(const TrainOptions& given, const std::map<std::string, std::string>& notes,
                  const TrainerHooks& hooks) {
  check_train_options(given);
  const torch::Device device = choose_device(given);
  if (given.num_threads > 0) at::set_num_threads(static_cast<int>(given.num_threads));
  TrainingRun run(with_derived(given, device), device, notes);
  const TrainOptions& options = run.options;
  TrainReport report;
  report.checkpoint = options.save_path;
  if (options.dry_run) {
    run.checkpoints.save_plain();
    return report;
  }

  const auto point = options.resume_from_checkpoint ? find_resume_point(options.save_path) : std::nullopt;
  if (point) {
    check_same_data(*point, run.data_fingerprint());
    load_training_state(point->folder, *run.setup.draft, run.optimisers);
  }
  make_folders(options.save_path);
  for (const auto& [file, content] : notes) write_file(fs::path(options.save_path) / file, content);
  MetricLoggers loggers = run.make_loggers(notes, point);
  RunTotals totals;
  TrainerHooks counting{.on_step = [&](const StepReport& step) {
    totals.add(step);
    hooks.on_step(step);
  }};
  Trainer trainer({*run.setup.draft, *run.train, *run.validation, run.optimisers,
                   make_schedule(options, run.train->num_batches(0)), run.checkpoints, loggers},
                  trainer_options(options, device), counting);
  trainer.set_data_fingerprint(run.data_fingerprint());
  if (point) trainer.resume(*point);
  trainer.run();
  report.already_trained = totals.tokens == 0;
  report.num_steps = trainer.position().global_step;
  report.checkpoint = newest_checkpoint(options.save_path);
  const double best_loss = trainer.position().best_loss;
  report.best_loss = std::isfinite(best_loss) ? best_loss : 0;
  if (report.already_trained) return report;
  report.seconds = totals.seconds;
  report.tokens_per_s = totals.tokens / totals.seconds;
  report.waited_fraction = totals.queue_s / totals.seconds;
  report.gflop_per_s = totals.flops / 1e9 / totals.compute_s;
  return report;
}

}  // namespace speculators
