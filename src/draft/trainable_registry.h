// How the trainer gets a draft: one options struct with upstream's flag names, one row per algorithm that can be
// trained. Source: reference algorithms.md 2.4 (layers synthesised from the verifier) and 19 (defaults that depend on
// the algorithm).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/model_config.h"
#include "draft/speculator.h"
#include "draft/trainable.h"
#include "draft/vocabulary_map.h"

namespace speculators {

// An unset optional takes the algorithm's own default (see resolve_options).
struct DraftTrainingOptions {
  std::optional<int64_t> num_layers;
  std::optional<std::string> draft_arch;
  std::string draft_hidden_act = "silu";
  std::vector<int64_t> target_layer_ids;  // empty: 2, n/2, n-3
  std::optional<int64_t> mask_token_id;   // DFlash; the caller resolves it from the tokenizer when the flag is absent
  bool norm_before_residual = true;
  std::optional<bool> embed_requires_grad;
  std::optional<bool> norm_before_fc;
  bool fc_norm = false;
  std::optional<bool> norm_output;
  int64_t sliding_window = 2048;
  std::vector<int64_t> full_attention_indices;
  std::optional<bool> sliding_window_non_causal;
  std::optional<std::string> loss_fn;
  int64_t ttt_steps = 3;
  double ttt_step_loss_decay = 1.0;
  int64_t max_anchors = 512;
  std::optional<int64_t> block_size;
  std::optional<bool> sample_from_anchor;
  double dflash_decay_gamma = 4.0;
  std::optional<std::string> per_position_loss_weight;
  double dpace_alpha = 0.5;
  int64_t markov_rank = 256;
  std::string markov_head_type = "vanilla";
  bool enable_confidence_head = true;
  bool confidence_head_with_markov = true;
  double confidence_head_alpha = 1.0;
  int64_t num_depths = 8;
  double down_sample_ratio = 0.7;
  double down_sample_ratio_min = 0.2;
  bool compat_upstream = false;
  bool plain_ops = false;
  std::string compute_dtype = "float32";

  template <class Visitor>
  void options(Visitor&& option) {
    option("num-layers", num_layers, "draft layers (default: 5 for dflash and dspark, else 1)");
    option("draft-arch", draft_arch, "llama or qwen3 layers (default: llama for eagle3, else qwen3)");
    option("draft-hidden-act", draft_hidden_act, "activation of the draft's MLP");
    option("target-layer-ids", target_layer_ids, "aux layers of the verifier (default: 2 n/2 n-3)");
    option("mask-token-id", mask_token_id,
           "token that stands for a slot to fill (dflash, dspark, peagle; default: from the tokenizer)");
    option("norm-before-residual", norm_before_residual,
           "eagle3, peagle: the residual of the first layer is the normed hidden state");
    option("embed-requires-grad", embed_requires_grad,
           "peagle: train the embedding (default: on); eagle3: recorded in config.json only, as upstream");
    option("norm-before-fc", norm_before_fc,
           "eagle3, peagle: one norm over all aux hidden states before fc (default: on for eagle3)");
    option("fc-norm", fc_norm, "eagle3, peagle: one norm per aux hidden state before fc; needs --no-norm-before-fc");
    option("norm-output", norm_output, "eagle3: feed the normed state to the next step (default: on for eagle3)");
    option("sliding-window", sliding_window, "window of the sliding layers, in tokens");
    option("full-attention-indices", full_attention_indices, "draft layers with full attention; the others slide");
    option("sliding-window-non-causal", sliding_window_non_causal,
           "dflash, dspark: sliding layers see the whole block (default: off)");
    option("loss-fn", loss_fn, "loss name or JSON of name to weight (default: ce for dflash, else kl_div)");
    option("ttt-steps", ttt_steps, "eagle3: unrolled steps");
    option("ttt-step-loss-decay", ttt_step_loss_decay, "eagle3: loss weight of step t is this to the power t");
    option("max-anchors", max_anchors,
           "dflash, dspark: blocks drawn per packed row; peagle: rows that chains are drawn from");
    option("block-size", block_size, "dflash, dspark: slots of a block (default: 16 for dflash, else 8)");
    option("sample-from-anchor", sample_from_anchor,
           "dflash, dspark: the anchor's slot predicts too (default: on for dspark)");
    option("dflash-decay-gamma", dflash_decay_gamma, "decay length of fixed-exp-decay, in slots");
    option("per-position-loss-weight", per_position_loss_weight,
           "fixed-exp-decay or dpace (default: dpace for dflash)");
    option("dpace-alpha", dpace_alpha, "smoothing of dpace, in (0, 1]");
    option("markov-rank", markov_rank, "dspark: rank of the Markov head; 0: no such head");
    option("markov-head-type", markov_head_type, "dspark: vanilla, gated or rnn (vLLM serves vanilla)");
    option("enable-confidence-head", enable_confidence_head, "dspark: learn each slot's chance of being accepted");
    option("confidence-head-with-markov", confidence_head_with_markov,
           "dspark: the confidence head reads the token before a slot too");
    option("confidence-head-alpha", confidence_head_alpha, "dspark: weight of the confidence head's loss");
    option("num-depths", num_depths, "peagle: tokens drafted in one pass");
    option("down-sample-ratio", down_sample_ratio, "peagle: share of the chains that each depth keeps");
    option("down-sample-ratio-min", down_sample_ratio_min, "peagle: smallest share of the chains at any depth");
    option("compat-upstream", compat_upstream,
           "let chains and blocks run over the end of their document, as upstream does");
    option("plain-ops", plain_ops, "compute with plain torch operations (slow; for checking)");
    option("compute-dtype", compute_dtype, "float32 or bfloat16 for the matrix products");
  }
};

// Everything a new draft is made from. `draft_config` replaces the layers synthesised from the verifier.
struct TrainableRequest {
  std::string algorithm;  // "eagle3", "dflash"
  DraftTrainingOptions options;
  ModelConfig verifier;
  std::optional<ModelConfig> draft_config;
  VerifierTensors tensors;
  std::optional<VocabularyMap> vocabulary;  // none: the draft has the verifier's vocabulary
  uint64_t seed = 42;                       // of the initial weights
};

// The names, sorted.
std::vector<std::string> trainable_algorithms();
// Fills every unset optional with the algorithm's default; throws UsageError for an unknown algorithm or a bad
// combination.
DraftTrainingOptions resolve_options(std::string_view algorithm, DraftTrainingOptions options);
// A fresh draft. Throws UsageError (options), DataError (verifier tensors, vocabulary).
std::unique_ptr<TrainableDraft> make_trainable_draft(const TrainableRequest& request);
// A draft with the shape of a saved speculator (--from-pretrained, resume); its weights come through load().
// Of the options only those that describe training are read.
std::unique_ptr<TrainableDraft> make_trainable_draft(const Speculator& speculator, const DraftTrainingOptions& options,
                                                     const VerifierTensors& tensors,
                                                     const std::optional<VocabularyMap>& vocabulary, uint64_t seed);
// The draft's decoder config, derived from the verifier's (algorithms.md 2.4).
ModelConfig make_draft_layer_config(const ModelConfig& verifier, const DraftTrainingOptions& resolved);

}  // namespace speculators
