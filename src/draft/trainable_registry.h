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
  int64_t conv_kernel_size = 2;
  int64_t conv_group_size = 16;
  int64_t selector_rank = 256;
  int64_t selector_top_k = 16;
  double selector_loss_alpha = 1.0;
  int64_t xpress_rank = 256;
  int64_t xpress_mlp_ratio = 2;
  int64_t num_jacobi_passes = 6;
  double consistency_weight = 0.3;
  int64_t consistency_passes = 3;
  double base_anchor_weight = 0.6;
  bool base_anchor_full_weight = false;
  bool ce_from_data = false;
  int64_t num_depths = 8;
  double down_sample_ratio = 0.7;
  double down_sample_ratio_min = 0.2;
  std::optional<int64_t> num_speculative_steps;  // unset: 3, or those of the speculator that training goes on with
  double step_weight_beta = 0.6;
  bool mtp_normed_hidden_states = false;
  bool compat_upstream = false;
  bool plain_ops = false;
  std::string compute_dtype = "float32";

  template <class Visitor>
  void options(Visitor&& option) {
    option("num-layers", num_layers,
           "draft layers (default: 5 for the dflash family: dflash, dflash2, dspark, xpress; else 1)");
    option("draft-arch", draft_arch, "llama or qwen3 layers (default: llama for eagle3, else qwen3)");
    option("draft-hidden-act", draft_hidden_act, "activation of the draft's MLP");
    option("target-layer-ids", target_layer_ids, "aux layers of the verifier (default: 2 n/2 n-3)");
    option("mask-token-id", mask_token_id,
           "token that stands for a slot to fill (dflash family, peagle; default: from the tokenizer)");
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
           "dflash family: sliding layers see the whole block (default: on for dflash2)");
    option("loss-fn", loss_fn,
           "loss name or JSON of name to weight (default: ce for dflash, {\"ce\": 0.1, \"tv\": 0.9} for xpress, else "
           "kl_div)");
    option("ttt-steps", ttt_steps, "eagle3: unrolled steps");
    option("ttt-step-loss-decay", ttt_step_loss_decay, "eagle3: loss weight of step t is this to the power t");
    option("max-anchors", max_anchors,
           "dflash family: blocks drawn per packed row; peagle: rows that chains are drawn from");
    option("block-size", block_size, "dflash family: slots of a block (default: 16 for dflash and xpress, else 8)");
    option("sample-from-anchor", sample_from_anchor,
           "dflash family: the anchor's slot predicts too (default: on for dspark)");
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
    option("conv-kernel-size", conv_kernel_size, "dflash2: slots that a convolution takes together");
    option("conv-group-size", conv_group_size, "dflash2: channels that share the changing part of a convolution");
    option("selector-rank", selector_rank, "dflash2: rank of the selector");
    option("selector-top-k", selector_top_k, "dflash2: likeliest tokens of a slot that the selector chooses among");
    option("selector-loss-alpha", selector_loss_alpha, "dflash2: weight of the selector's loss");
    option("xpress-rank", xpress_rank, "xpress: rank of the refiner");
    option("xpress-mlp-ratio", xpress_mlp_ratio, "xpress: width of the refiner's MLP over its rank");
    option("num-jacobi-passes", num_jacobi_passes, "xpress: passes of the refiner over a greedy proposal");
    option("consistency-weight", consistency_weight,
           "xpress: weight of the free-running rounds' loss; 0: none are run");
    option("consistency-passes", consistency_passes, "xpress: free-running rounds in training");
    option("base-anchor-weight", base_anchor_weight, "xpress: weight of the uncorrected logits' loss; 0: left out");
    option("base-anchor-full-weight", base_anchor_full_weight,
           "xpress: the uncorrected logits' loss counts every slot alike");
    option("ce-from-data", ce_from_data,
           "xpress: the loss `ce` takes the data's tokens for labels, not the verifier's best");
    option("num-depths", num_depths, "peagle: tokens drafted in one pass");
    option("down-sample-ratio", down_sample_ratio, "peagle: share of the chains that each depth keeps");
    option("down-sample-ratio-min", down_sample_ratio_min, "peagle: smallest share of the chains at any depth");
    option("num-speculative-steps", num_speculative_steps,
           "mtp: tokens drafted, so how often the layer is applied (3)");
    option("step-weight-beta", step_weight_beta, "mtp: step k's loss weighs this to the power k, scaled to a sum of 1");
    option(
        "mtp-normed-hidden-states", mtp_normed_hidden_states,
        "mtp: start from the verifier's state behind its final norm, as vLLM does (upstream trains on the one before)");
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
  // mtp: the weights of the verifier's own layer under the draft's names; empty: fresh ones.
  std::map<std::string, torch::Tensor> native_weights;
  uint64_t seed = 42;  // of the initial weights
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
// What a fresh draft is saved with as `transformer_layer_config`.
ModelConfig layer_config_of(const TrainableRequest& request);
// The draft's decoder config, derived from the verifier's (algorithms.md 2.4).
ModelConfig make_draft_layer_config(const ModelConfig& verifier, const DraftTrainingOptions& resolved);

}  // namespace speculators
