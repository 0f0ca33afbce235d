#include "draft/trainable_registry.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/nearest.h"
#include "draft/dflash/trainable.h"
#include "draft/dflash2/trainable.h"
#include "draft/dspark/trainable.h"
#include "draft/eagle3/trainable.h"
#include "draft/layer_checks.h"
#include "draft/mtp/trainable.h"
#include "draft/peagle/trainable.h"
#include "draft/xpress/trainable.h"

namespace speculators {
namespace {

torch::ScalarType compute_dtype(const DraftTrainingOptions& options) {
  if (options.compute_dtype == "float32") return torch::kFloat32;
  if (options.compute_dtype == "bfloat16") return torch::kBFloat16;
  throw UsageError(fmt::format("--compute-dtype: expected float32 or bfloat16, found '{}'", options.compute_dtype));
}

Eagle3TrainingOptions eagle3_options(const DraftTrainingOptions& options) {
  return {options.ttt_steps,      options.ttt_step_loss_decay, nn::parse_loss_spec(*options.loss_fn),
          compute_dtype(options), options.compat_upstream,     options.plain_ops};
}

PEagleTrainingOptions peagle_options(const DraftTrainingOptions& options) {
  return {{options.num_depths, options.down_sample_ratio, options.down_sample_ratio_min, options.max_anchors},
          nn::parse_loss_spec(*options.loss_fn),
          compute_dtype(options),
          options.compat_upstream,
          options.plain_ops};
}

DFlashTrainingOptions dflash_options(const DraftTrainingOptions& options) {
  DFlashTrainingOptions result;
  result.max_anchors = options.max_anchors;
  result.decay_gamma = options.dflash_decay_gamma;
  result.dpace_alpha = options.dpace_alpha;
  result.loss = nn::parse_loss_spec(*options.loss_fn);
  result.compute_dtype = compute_dtype(options);
  result.compat_upstream = options.compat_upstream;
  result.plain_ops = options.plain_ops;
  const std::string& weight = *options.per_position_loss_weight;
  if (weight != "dpace" && weight != "fixed-exp-decay") {
    throw UsageError(fmt::format("--per-position-loss-weight: expected fixed-exp-decay or dpace, found '{}'", weight));
  }
  result.position_weight = weight == "dpace" ? PositionWeight::kDPace : PositionWeight::kFixedExpDecay;
  return result;
}

DSparkTrainingOptions dspark_options(const DraftTrainingOptions& options) {
  DSparkTrainingOptions result;
  static_cast<BlockTrainingOptions&>(result) = dflash_options(options);
  result.confidence_head_alpha = options.confidence_head_alpha;
  return result;
}

DFlash2TrainingOptions dflash2_options(const DraftTrainingOptions& options) {
  DFlash2TrainingOptions result;
  static_cast<BlockTrainingOptions&>(result) = dflash_options(options);
  result.selector_loss_alpha = options.selector_loss_alpha;
  return result;
}

XPressTrainingOptions xpress_options(const DraftTrainingOptions& options) {
  XPressTrainingOptions result;
  static_cast<BlockTrainingOptions&>(result) = dflash_options(options);
  result.consistency_weight = options.consistency_weight;
  result.consistency_passes = options.consistency_passes;
  result.base_anchor_weight = options.base_anchor_weight;
  result.base_anchor_full_weight = options.base_anchor_full_weight;
  result.ce_from_data = options.ce_from_data;
  return result;
}

int64_t draft_vocab_size(const TrainableRequest& request) {
  return request.vocabulary ? static_cast<int64_t>(request.vocabulary->d2t.size()) : request.verifier.vocab_size;
}

std::vector<int64_t> aux_layer_ids(const TrainableRequest& request, const DraftTrainingOptions& options) {
  const int64_t num_layers = request.verifier.num_hidden_layers;
  if (options.target_layer_ids.empty()) return default_aux_layer_ids(num_layers);
  check_aux_layer_ids(options.target_layer_ids, "--target-layer-ids", num_layers);
  return options.target_layer_ids;
}

ModelConfig layers_of(const TrainableRequest& request, const DraftTrainingOptions& options) {
  if (!request.draft_config) return make_draft_layer_config(request.verifier, options);
  ModelConfig layers = *request.draft_config;
  if (layers.hidden_size != request.verifier.hidden_size) {
    throw UsageError(fmt::format("--draft-config: hidden_size: expected the verifier's {}, found {}",
                                 request.verifier.hidden_size, layers.hidden_size));
  }
  layers.vocab_size = request.verifier.vocab_size;
  return layers;
}

// What EAGLE-3 and P-EAGLE take from the options.
ChainConfig chain_config(const TrainableRequest& request, const DraftTrainingOptions& options) {
  ChainConfig config;
  config.layer = layers_of(request, options);
  config.draft_vocab_size = draft_vocab_size(request);
  config.aux_layer_ids = aux_layer_ids(request, options);
  config.norm_before_residual = options.norm_before_residual;
  config.norm_before_fc = *options.norm_before_fc;
  config.fc_norm = options.fc_norm;
  config.norm_output = *options.norm_output;
  config.embed_requires_grad = *options.embed_requires_grad;
  return config;
}

std::unique_ptr<TrainableDraft> new_eagle3(const TrainableRequest& request, const DraftTrainingOptions& options) {
  Eagle3Config config{chain_config(request, options)};
  config = parse_eagle3_config(to_json(config), config.layer, "the new draft");
  return make_trainable_eagle3(config, eagle3_options(options), request.tensors, request.vocabulary, request.seed);
}

int64_t mask_token_id(const TrainableRequest& request, const DraftTrainingOptions& options) {
  if (options.mask_token_id) return *options.mask_token_id;
  throw UsageError(
      fmt::format("--mask-token-id: expected a token id for {}, found none; name a token that answers never hold",
                  request.algorithm));
}

std::unique_ptr<TrainableDraft> new_peagle(const TrainableRequest& request, const DraftTrainingOptions& options) {
  PEagleConfig config{chain_config(request, options)};
  config.mask_token_id = mask_token_id(request, options);
  config = parse_peagle_config(to_json(config), config.layer, "the new draft");
  return make_trainable_peagle(config, peagle_options(options), request.tensors, request.vocabulary, request.seed);
}

// What the drafts that fill blocks take from the options.
BlockConfig block_config(const TrainableRequest& request, const DraftTrainingOptions& options) {
  BlockConfig config;
  config.layer = layers_of(request, options);
  config.draft_vocab_size = draft_vocab_size(request);
  config.aux_layer_ids = aux_layer_ids(request, options);
  config.block_size = *options.block_size;
  config.mask_token_id = mask_token_id(request, options);
  config.sliding_window_non_causal = *options.sliding_window_non_causal;
  config.sample_from_anchor = *options.sample_from_anchor;
  return config;
}

std::unique_ptr<TrainableDraft> new_dflash(const TrainableRequest& request, const DraftTrainingOptions& options) {
  DFlashConfig config = block_config(request, options);
  config = parse_dflash_config(to_json(config), config.layer, "the new draft");
  return make_trainable_dflash(config, dflash_options(options), request.tensors, request.vocabulary, request.seed);
}

void check_at_least_one(const char* flag, int64_t value) {
  if (value < 1) throw UsageError(fmt::format("{}: expected at least 1, found {}", flag, value));
}

std::unique_ptr<TrainableDraft> new_dflash2(const TrainableRequest& request, const DraftTrainingOptions& options) {
  if (request.vocabulary) {
    throw UsageError("--draft-vocab-size: dflash2 expects the verifier's whole vocabulary; leave the option out");
  }
  check_at_least_one("--conv-kernel-size", options.conv_kernel_size);
  check_at_least_one("--conv-group-size", options.conv_group_size);
  check_at_least_one("--selector-rank", options.selector_rank);
  check_at_least_one("--selector-top-k", options.selector_top_k);
  DFlash2Config config(block_config(request, options));
  config.conv_kernel_size = options.conv_kernel_size;
  config.conv_group_size = options.conv_group_size;
  config.selector_rank = options.selector_rank;
  config.selector_top_k = options.selector_top_k;
  config = parse_dflash2_config(to_json(config), config.layer, "the new draft");
  return make_trainable_dflash2(config, dflash2_options(options), request.tensors, request.vocabulary, request.seed);
}

MarkovHeadType markov_head_type(const std::string& name) {
  if (const auto type = find_markov_head_type(name)) return *type;
  throw UsageError(fmt::format("--markov-head-type: expected vanilla, gated or rnn, found '{}'", name));
}

std::unique_ptr<TrainableDraft> new_dspark(const TrainableRequest& request, const DraftTrainingOptions& options) {
  DSparkConfig config(block_config(request, options));
  config.markov_rank = options.markov_rank;
  config.markov_head_type = markov_head_type(options.markov_head_type);
  config.enable_confidence_head = options.enable_confidence_head;
  config.confidence_head_with_markov = options.confidence_head_with_markov;
  if (options.markov_rank == 0 && options.enable_confidence_head && options.confidence_head_with_markov) {
    throw UsageError("--markov-rank 0: expected --no-confidence-head-with-markov with it, since no token is embedded");
  }
  config = parse_dspark_config(to_json(config), config.layer, "the new draft");
  return make_trainable_dspark(config, dspark_options(options), request.tensors, request.vocabulary, request.seed);
}

std::unique_ptr<TrainableDraft> new_xpress(const TrainableRequest& request, const DraftTrainingOptions& options) {
  check_at_least_one("--xpress-rank", options.xpress_rank);
  check_at_least_one("--xpress-mlp-ratio", options.xpress_mlp_ratio);
  if (options.num_jacobi_passes < 0) throw UsageError("--num-jacobi-passes: expected at least 0");
  XPressConfig config(block_config(request, options));
  config.xpress_rank = options.xpress_rank;
  config.xpress_mlp_ratio = options.xpress_mlp_ratio;
  config.num_jacobi_passes = options.num_jacobi_passes;
  config = parse_xpress_config(to_json(config), config.layer, "the new draft");
  return make_trainable_xpress(config, xpress_options(options), request.tensors, request.vocabulary, request.seed);
}

MtpTrainingOptions mtp_options(const DraftTrainingOptions& options) {
  MtpTrainingOptions result;
  result.num_steps = options.num_speculative_steps.value_or(result.num_steps);
  result.step_weight_beta = options.step_weight_beta;
  result.compute_dtype = compute_dtype(options);
  result.compat_upstream = options.compat_upstream;
  result.plain_ops = options.plain_ops;
  check_at_least_one("--num-speculative-steps", result.num_steps);
  if (!(result.step_weight_beta > 0)) {
    throw UsageError(fmt::format("--step-weight-beta: expected above 0, found {}", result.step_weight_beta));
  }
  return result;
}

std::unique_ptr<TrainableDraft> new_mtp(const TrainableRequest& request, const DraftTrainingOptions& options) {
  if (request.vocabulary) {
    throw UsageError("--draft-vocab-size: mtp expects the verifier's whole vocabulary; leave the option out");
  }
  MtpConfig config;
  config.verifier = request.verifier;
  config.normed_hidden_states = options.mtp_normed_hidden_states;
  config = parse_mtp_config(to_json(config), config.verifier, "the new draft");
  auto draft = make_trainable_mtp(config, mtp_options(options), request.tensors, request.vocabulary, request.seed);
  if (!request.native_weights.empty()) draft->load(request.native_weights);
  return draft;
}

// Some verifiers attend in another width than they are wide; a draft takes as many heads as fit its own.
void fit_heads(ModelConfig& layer) {
  if (layer.hidden_size % layer.num_attention_heads != 0 && layer.hidden_size % layer.head_dim == 0) {
    layer.num_attention_heads = layer.hidden_size / layer.head_dim;
    if (layer.num_attention_heads % layer.num_key_value_heads != 0)
      layer.num_key_value_heads = layer.num_attention_heads;
  }
  if (layer.num_attention_heads % layer.num_key_value_heads != 0) {
    throw UsageError(
        fmt::format("verifier: num_attention_heads: expected a multiple of the {} key/value heads, found {}; "
                    "give --draft-config",
                    layer.num_key_value_heads, layer.num_attention_heads));
  }
}

struct SavedDraft {
  const Speculator& speculator;
  const VerifierTensors& tensors;
  const std::optional<VocabularyMap>& vocabulary;
  uint64_t seed;
};

template <auto parse_config, auto make, auto options_of>
std::unique_ptr<TrainableDraft> restored(const SavedDraft& saved, const DraftTrainingOptions& resolved) {
  const std::string place = (saved.speculator.folder / "config.json").string();
  const auto config = parse_config(saved.speculator.config, saved.speculator.layer_config, place);
  return make(config, options_of(resolved), saved.tensors, saved.vocabulary, saved.seed);
}

// The steps of a saved head are those it was saved with, unless others are asked for.
std::unique_ptr<TrainableDraft> restored_mtp(const SavedDraft& saved, const DraftTrainingOptions& resolved) {
  DraftTrainingOptions options = resolved;
  if (!options.num_speculative_steps && saved.speculator.speculative_tokens > 0) {
    options.num_speculative_steps = saved.speculator.speculative_tokens;
  }
  return restored<parse_mtp_config, make_trainable_mtp, mtp_options>(saved, options);
}

struct TrainableAlgorithm {
  const char* name;
  std::unique_ptr<TrainableDraft> (*make)(const TrainableRequest& request, const DraftTrainingOptions& resolved);
  std::unique_ptr<TrainableDraft> (*restore)(const SavedDraft& saved, const DraftTrainingOptions& resolved);
  // What an unset option becomes.
  const char *draft_arch, *loss_fn, *per_position_loss_weight;
  int64_t num_layers, block_size;
  bool norms;  // norm_before_fc and norm_output
  bool sample_from_anchor = false, trains_embedding = false;
  bool sliding_window_non_causal = false;
};

constexpr TrainableAlgorithm kAlgorithms[] = {
    {"dflash", new_dflash, restored<parse_dflash_config, make_trainable_dflash, dflash_options>, "qwen3", "ce", "dpace",
     5, 16, false},
    {"dflash2", new_dflash2, restored<parse_dflash2_config, make_trainable_dflash2, dflash2_options>, "qwen3", "kl_div",
     "fixed-exp-decay", 5, 8, false, false, false, /*sliding_window_non_causal=*/true},
    {"dspark", new_dspark, restored<parse_dspark_config, make_trainable_dspark, dspark_options>, "qwen3", "kl_div",
     "fixed-exp-decay", 5, 8, false, /*sample_from_anchor=*/true},
    {"eagle3", new_eagle3, restored<parse_eagle3_config, make_trainable_eagle3, eagle3_options>, "llama", "kl_div",
     "fixed-exp-decay", 1, 8, true},
    {"mtp", new_mtp, restored_mtp, "qwen3", "ce", "fixed-exp-decay", 1, 8, false},
    {"peagle", new_peagle, restored<parse_peagle_config, make_trainable_peagle, peagle_options>, "qwen3", "kl_div",
     "fixed-exp-decay", 1, 8, false, false, /*trains_embedding=*/true},
    {"xpress", new_xpress, restored<parse_xpress_config, make_trainable_xpress, xpress_options>, "qwen3",
     R"({"ce": 0.1, "tv": 0.9})", "fixed-exp-decay", 5, 16, false},
};

const TrainableAlgorithm& algorithm_named(std::string_view name) {
  for (const TrainableAlgorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return algorithm;
  }
  const std::vector<std::string> known = trainable_algorithms();
  throw UsageError(fmt::format("--speculator-type: expected one of {}, found '{}'{}", fmt::join(known, ", "), name,
                               did_you_mean(name, known)));
}

template <class Value>
void fill(std::optional<Value>& option, Value value) {
  if (!option) option = std::move(value);
}

}  // namespace

std::vector<std::string> trainable_algorithms() {
  std::vector<std::string> names;
  for (const TrainableAlgorithm& algorithm : kAlgorithms) names.emplace_back(algorithm.name);
  return names;
}

DraftTrainingOptions resolve_options(std::string_view name, DraftTrainingOptions options) {
  const TrainableAlgorithm& algorithm = algorithm_named(name);
  fill<int64_t>(options.num_layers, algorithm.num_layers);
  fill<std::string>(options.draft_arch, algorithm.draft_arch);
  fill<bool>(options.embed_requires_grad, algorithm.trains_embedding);
  fill<bool>(options.norm_before_fc, algorithm.norms);
  fill<bool>(options.norm_output, algorithm.norms);
  fill<bool>(options.sliding_window_non_causal, algorithm.sliding_window_non_causal);
  fill<std::string>(options.loss_fn, algorithm.loss_fn);
  fill<int64_t>(options.block_size, algorithm.block_size);
  fill<bool>(options.sample_from_anchor, algorithm.sample_from_anchor);
  fill<std::string>(options.per_position_loss_weight, algorithm.per_position_loss_weight);
  if (options.fc_norm && *options.norm_before_fc) {
    throw UsageError("--fc-norm: expected --no-norm-before-fc with it, since only one of the two norms can be used");
  }
  if (*options.num_layers < 1) throw UsageError("--num-layers: expected at least 1");
  if (options.ttt_steps < 1) throw UsageError("--ttt-steps: expected at least 1");
  return options;
}

std::unique_ptr<TrainableDraft> make_trainable_draft(const TrainableRequest& request) {
  return algorithm_named(request.algorithm).make(request, resolve_options(request.algorithm, request.options));
}

std::unique_ptr<TrainableDraft> make_trainable_draft(const Speculator& speculator, const DraftTrainingOptions& options,
                                                     const VerifierTensors& tensors,
                                                     const std::optional<VocabularyMap>& vocabulary, uint64_t seed) {
  const DraftTrainingOptions resolved = resolve_options(speculator.algorithm, options);
  return algorithm_named(speculator.algorithm).restore({speculator, tensors, vocabulary, seed}, resolved);
}

ModelConfig layer_config_of(const TrainableRequest& request) {
  if (request.algorithm == "mtp") return request.verifier;
  return layers_of(request, resolve_options(request.algorithm, request.options));
}

ModelConfig make_draft_layer_config(const ModelConfig& verifier, const DraftTrainingOptions& resolved) {
  const std::string arch = *resolved.draft_arch;
  if (arch != "llama" && arch != "qwen3") {
    throw UsageError(fmt::format("--draft-arch: expected llama or qwen3, found '{}'", arch));
  }
  ModelConfig layer;
  layer.model_type = arch;
  layer.architectures = {};
  layer.vocab_size = verifier.vocab_size;
  layer.hidden_size = verifier.hidden_size;
  layer.intermediate_size = verifier.intermediate_size > 0 ? verifier.intermediate_size : 3 * verifier.hidden_size;
  layer.num_hidden_layers = *resolved.num_layers;
  layer.num_attention_heads = verifier.num_attention_heads;
  layer.num_key_value_heads = verifier.num_key_value_heads;
  layer.head_dim = verifier.head_dim;
  fit_heads(layer);
  layer.max_position_embeddings = verifier.max_position_embeddings;
  layer.rms_norm_eps = verifier.rms_norm_eps;
  layer.initializer_range = verifier.initializer_range;
  layer.hidden_act = resolved.draft_hidden_act;
  layer.rope = verifier.rope;
  layer.rope.partial_rotary_factor.reset();
  layer.bos_token_id = verifier.bos_token_id;
  layer.eos_token_ids = verifier.eos_token_ids;
  layer.pad_token_id = verifier.pad_token_id;
  layer.sliding_window = resolved.sliding_window;
  layer.layer_types.assign(*resolved.num_layers, "sliding_attention");
  for (const int64_t index : resolved.full_attention_indices) {
    if (index < 0 || index >= *resolved.num_layers) {
      throw UsageError(
          fmt::format("--full-attention-indices: expected layers in [0, {}), found {}", *resolved.num_layers, index));
    }
    layer.layer_types[index] = "full_attention";
  }
  if (!has_sliding_layers(layer)) layer.sliding_window.reset();
  return layer;
}

}  // namespace speculators
