// `regenerate-responses`: the verifier answers the prompts itself, so that a draft learns from what the verifier would
// say (on-policy data). Conversations keep their system and user turns; every assistant turn is written anew. Rows go
// to the output in the order of the input, whatever finishes first, so a stopped run continues exactly. Source:
// reference pipeline.md 1.2, 3.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace speculators {

struct RegenerateOptions {
  std::string dataset;  // .jsonl or .json of prompts or conversations
  std::string model;    // verifier folder
  std::string outfile;  // default: <dataset>_<model>.jsonl
  std::optional<int64_t> limit;
  int64_t concurrency = 16;
  int64_t max_tokens = 512;
  double temperature = 0, top_p = 1, min_p = 0;
  int64_t top_k = 0;
  int64_t seed = 0;
  bool overwrite = false;
  std::optional<std::string> hidden_states;  // folder that keeps the states of the pass made anyway
  std::vector<int64_t> target_layer_ids;     // aux layers kept; default [2, n/2, n-3]

  template <class Visitor>
  void options(Visitor&& option) {
    option("dataset", dataset, "prompts or conversations (.jsonl or .json)");
    option("model", model, "verifier folder");
    option("outfile", outfile, "rows with input_ids and loss_mask (default: <dataset>_<model>.jsonl)");
    option("limit", limit, "stop after this many conversations");
    option("concurrency", concurrency, "conversations answered at once");
    option("max-tokens", max_tokens, "longest answer");
    option("temperature", temperature, "0 takes the most likely token");
    option("top-k", top_k, "sample among this many; 0: all");
    option("top-p", top_p, "sample within this probability mass");
    option("min-p", min_p, "leave out tokens less likely than this share of the best");
    option("seed", seed, "conversation i samples with seed + i");
    option("overwrite", overwrite, "start anew even if the output is there");
    option("hidden-states", hidden_states, "folder that keeps the hidden states of the answers' own pass");
    option("target-layer-ids", target_layer_ids, "layers whose states are kept besides the last (default: 2 n/2 n-3)");
  }
};

struct RegenerateReport {
  bool already_there = false;
  int64_t num_conversations = 0, num_rows = 0, num_tokens = 0;
  int64_t num_resumed = 0;    // conversations found in the unfinished output of an earlier run
  int64_t num_failed = 0;     // written to <outfile>.errors.jsonl
  int64_t num_truncated = 0;  // answers that ended at max_tokens or at the context's end
  double seconds = 0;
};

RegenerateReport regenerate(const RegenerateOptions& options);

}  // namespace speculators
