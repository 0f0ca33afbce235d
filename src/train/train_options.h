// Every option of `speculators train`, with upstream's names and defaults. Source: reference upstream_0_9.md 1.4,
// algorithms.md 19. What shapes the draft and its loss is declared in draft/trainable_registry.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "draft/trainable_registry.h"

namespace speculators {

struct VerifierOptions {
  std::string verifier_name_or_path;
  bool trust_remote_code = false;
  template <class Visitor>
  void options(Visitor&& option) {
    option("verifier-name-or-path", verifier_name_or_path, "folder of the verifier");
    option("trust-remote-code", trust_remote_code,
           "accepted for upstream's recipes; no code of a checkpoint is ever run");
  }
};

struct VocabularyOptions {
  std::optional<std::string> token_freq_path, d2t_path, t2d_path;
  std::optional<int64_t> draft_vocab_size;
  template <class Visitor>
  void options(Visitor&& option) {
    option("token-freq-path", token_freq_path, "token counts (default: DATA/token_freq.pt)");
    option("draft-vocab-size", draft_vocab_size, "most frequent tokens that the draft may propose (default: all)");
    option("d2t-path", d2t_path, "d2t .npy of a given draft vocabulary");
    option("t2d-path", t2d_path, "t2d .npy of a given draft vocabulary");
  }
};

struct TrainDataOptions {
  std::string data_path = "./output";
  std::string hidden_states_backend = "file";
  std::optional<std::string> hidden_states_path;
  int64_t total_seq_len = 8192;
  double train_data_ratio = 0.9;
  double noise_std = 0;
  std::optional<std::string> hidden_states_dtype;
  int64_t num_workers = 12;
  int64_t prefetch_factor = 4;
  std::string on_missing = "generate";
  std::optional<std::string> on_generate;
  int64_t max_consecutive_generation_failures = 20;
  template <class Visitor>
  void options(Visitor&& option) {
    option("data-path", data_path, "folder written by prepare-data");
    option("hidden-states-backend", hidden_states_backend, "file or fp8 (files tell which they are)");
    option("hidden-states-path", hidden_states_path, "folder of the hidden states (default: DATA/hidden_states)");
    option("total-seq-len", total_seq_len, "tokens in one packed row");
    option("train-data-ratio", train_data_ratio, "part of the rows that trains; the rest validates");
    option("noise-std", noise_std, "half-width of uniform noise on the aux states while training");
    option("hidden-states-dtype", hidden_states_dtype,
           "float32 or bfloat16 (default: float32 on a CPU, else bfloat16)");
    option("num-workers", num_workers, "threads that read ahead, at most half the cores");
    option("prefetch-factor", prefetch_factor, "packed rows read ahead");
    option("on-missing", on_missing, "rows without hidden states: generate them first, raise, warn or skip");
    option("on-generate", on_generate, "accepted for upstream's recipes; generated states are kept");
    option("max-consecutive-generation-failures", max_consecutive_generation_failures,
           "unusable samples in a row that end training");
  }
};

struct RateOptions {
  std::string optimizer = "muon";
  double lr = 1e-3;
  double weight_decay = 0.01;
  std::optional<double> muon_lr;
  double muon_momentum = 0.95;
  double muon_weight_decay = 0.1;
  int64_t muon_ns_steps = 5;
  std::string muon_adjust_lr_fn = "match_rms_adamw";
  bool muon_compat_upstream = false;
  double max_grad_norm = 1.0;
  std::string scheduler_type = "linear";
  std::optional<int64_t> scheduler_warmup_steps;
  std::optional<double> scheduler_warmup_ratio;
  std::optional<int64_t> scheduler_total_steps;
  double scheduler_num_cosine_cycles = 0.5;
  template <class Visitor>
  void options(Visitor&& option) {
    option("optimizer", optimizer, "muon (matrices; AdamW for the rest) or adamw");
    option("lr", lr, "learning rate of AdamW");
    option("weight-decay", weight_decay, "weight decay of AdamW");
    option("muon-lr", muon_lr, "learning rate of Muon (default: --lr)");
    option("muon-momentum", muon_momentum, "momentum of Muon");
    option("muon-weight-decay", muon_weight_decay, "weight decay of Muon");
    option("muon-ns-steps", muon_ns_steps, "Newton-Schulz steps of Muon");
    option("muon-adjust-lr-fn", muon_adjust_lr_fn, "match_rms_adamw or original");
    option("muon-compat-upstream", muon_compat_upstream, "orthogonalise in bf16 on a CPU too, as upstream (very slow)");
    option("max-grad-norm", max_grad_norm, "gradients are scaled to at most this norm; 0: never");
    option("scheduler-type", scheduler_type, "linear, cosine or none");
    option("scheduler-warmup-steps", scheduler_warmup_steps, "steps of rising rate");
    option("scheduler-warmup-ratio", scheduler_warmup_ratio, "the same as a part of all steps (default: 1 %)");
    option("scheduler-total-steps", scheduler_total_steps,
           "horizon of the schedule (default: --max-steps, else all epochs)");
    option("scheduler-num-cosine-cycles", scheduler_num_cosine_cycles, "waves of the cosine schedule");
  }
};

struct RunOptions {
  int64_t epochs = 20;
  std::optional<int64_t> max_steps;
  int64_t gradient_accumulation_steps = 1;
  double checkpoint_freq = 1.0;
  bool save_best = false;
  bool resume_from_checkpoint = true;
  int64_t log_freq = 1;
  std::string save_path = "./output/checkpoints";
  std::string logger;
  std::string log_dir = "./logs";
  std::string run_name;
  int64_t seed = 42;
  bool dry_run = false;
  std::string device = "cpu";
  int64_t num_threads = 0;
  template <class Visitor>
  void options(Visitor&& option) {
    option("epochs", epochs, "times through the data");
    option("max-steps", max_steps, "ends training after so many updates");
    option("gradient-accumulation-steps", gradient_accumulation_steps, "packed rows per update");
    option("checkpoint-freq", checkpoint_freq, "epochs between checkpoints; below 1 several per epoch");
    option("save-best", save_best, "keep only the epoch with the lowest validation loss");
    option("resume-from-checkpoint", resume_from_checkpoint, "go on from the newest state in the save path");
    option("log-freq", log_freq, "updates between logged figures");
    option("save-path", save_path, "folder of the checkpoints");
    option("logger", logger, "comma list; tensorboard is built in, metrics.jsonl is always written");
    option("log-dir", log_dir, "folder of event files");
    option("run-name", run_name, "folder below it; {time} and {utc_time} are filled in");
    option("seed", seed, "of weights, packing and draws");
    option("dry-run", dry_run, "write the untrained speculator into the save path and end");
    option("device", device, "cpu or cuda");
    option("num-threads", num_threads, "threads that compute; 0: one per core");
  }
};

// Upstream's flags that choose between implementations which give the same numbers.
struct ImplementationOptions {
  std::string loss_implementation = "fused";
  std::string draft_attn_impl = "simple_flex_attention";
  bool draft_mrope_full_head_hack = true;
  template <class Visitor>
  void options(Visitor&& option) {
    option("loss-implementation", loss_implementation, "fused, or eager: the plain operations");
    option("draft-attn-impl", draft_attn_impl,
           "accepted for upstream's recipes; attention has one implementation here");
    option("draft-mrope-full-head-hack", draft_mrope_full_head_hack, "accepted for upstream's recipes");
  }
};

struct TrainOptions : VerifierOptions,
                      VocabularyOptions,
                      TrainDataOptions,
                      RateOptions,
                      RunOptions,
                      ImplementationOptions {
  std::string speculator_type = "eagle3";
  std::string from_pretrained, draft_config;
  DraftTrainingOptions draft;

  template <class Visitor>
  void options(Visitor&& option) {
    option("speculator-type", speculator_type, "draft algorithm (speculators list names them)");
    VerifierOptions::options(option);
    option("from-pretrained", from_pretrained,
           "speculator folder to start from; with only a config.json: fresh weights");
    option("draft-config", draft_config, "decoder config.json that replaces the layers derived from the verifier");
    VocabularyOptions::options(option);
    draft.options(option);
    TrainDataOptions::options(option);
    RateOptions::options(option);
    RunOptions::options(option);
    ImplementationOptions::options(option);
  }
};

// Throws UsageError for values that no algorithm can take, and for combinations that exclude each other.
void check_train_options(const TrainOptions& options);

}  // namespace speculators
