#include "train/train_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"

namespace speculators {
namespace {

void check_one_of(const char* flag, const std::string& value, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  throw UsageError(fmt::format("--{}: expected {}, got '{}'", flag, fmt::join(known, " or "), value));
}

void check_at_least(const char* flag, double value, double minimum) {
  if (!(value >= minimum)) throw UsageError(fmt::format("--{}: expected at least {}, got {}", flag, minimum, value));
}

// Whether a flag that shapes the decoder differs from its default.
bool shapes_decoder(const DraftTrainingOptions& draft) {
  const DraftTrainingOptions defaults;
  return draft.num_layers || draft.draft_arch || draft.draft_hidden_act != defaults.draft_hidden_act ||
         draft.sliding_window != defaults.sliding_window || !draft.full_attention_indices.empty();
}

void check_draft_source(const TrainOptions& options) {
  const bool pretrained = !options.from_pretrained.empty(), config = !options.draft_config.empty();
  if (options.speculator_type == "mtp" && !pretrained && (config || shapes_decoder(options.draft))) {
    throw UsageError(
        "--speculator-type mtp: expected none of --draft-config, --num-layers, --draft-arch, --draft-hidden-act, "
        "--sliding-window and --full-attention-indices with it, since its layer is the verifier's own");
  }
  if (pretrained && config) {
    throw UsageError("--from-pretrained: expected no --draft-config with it, since both say what the draft looks like");
  }
  if ((pretrained || config) && shapes_decoder(options.draft)) {
    throw UsageError(
        fmt::format("--{}: expected none of --num-layers, --draft-arch, --draft-hidden-act, --sliding-window and "
                    "--full-attention-indices with it, since it says what the layers look like",
                    pretrained ? "from-pretrained" : "draft-config"));
  }
}

}  // namespace

void check_train_options(const TrainOptions& options) {
  if (options.verifier_name_or_path.empty()) {
    throw UsageError("--verifier-name-or-path: expected the verifier's folder, got nothing");
  }
  if (options.save_path.empty()) throw UsageError("--save-path: expected a folder, got nothing");
  check_one_of("on-missing", options.on_missing, {"generate", "raise", "warn", "skip"});
  check_one_of("hidden-states-backend", options.hidden_states_backend, {"file", "fp8"});
  check_one_of("loss-implementation", options.loss_implementation, {"fused", "eager"});
  check_one_of("draft-attn-impl", options.draft_attn_impl, {"simple_flex_attention", "sdpa", "eager"});
  check_one_of("device", options.device, {"cpu", "cuda"});
  if (options.on_generate) check_one_of("on-generate", *options.on_generate, {"delete"});
  if (options.hidden_states_dtype)
    check_one_of("hidden-states-dtype", *options.hidden_states_dtype, {"float32", "bfloat16"});
  check_at_least("total-seq-len", static_cast<double>(options.total_seq_len), 2);
  if (constexpr int64_t kMost = 1'000'000'000; options.epochs < 1 || options.epochs > kMost) {
    throw UsageError(fmt::format("--epochs: expected 1 to {}, got {}", kMost, options.epochs));
  }
  check_at_least("num-workers", static_cast<double>(options.num_workers), 0);
  check_at_least("prefetch-factor", static_cast<double>(options.prefetch_factor), 1);
  check_at_least("num-threads", static_cast<double>(options.num_threads), 0);
  check_at_least("noise-std", options.noise_std, 0);
  check_at_least("max-grad-norm", options.max_grad_norm, 0);
  check_at_least("muon-ns-steps", static_cast<double>(options.muon_ns_steps), 1);
  if (const double ratio = options.scheduler_warmup_ratio.value_or(0); ratio < 0 || ratio > 1) {
    throw UsageError(fmt::format("--scheduler-warmup-ratio: expected 0 to 1, got {}", ratio));
  }
  check_draft_source(options);
}

}  // namespace speculators
