// Stage 1, `prepare-data`: rows -> a prepared data set with token frequencies.
// The output folder's data set appears whole or not at all; the same input
// gives the same bytes, and the row order is upstream's. Source: reference
// pipeline.md 1.1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "data/loss_mask.h"

namespace speculators {

struct PrepareDataOptions {
  std::string model;              // verifier folder: tokenizer and chat template
  std::vector<std::string> data;  // files or folders
  std::string output = "./output";
  int64_t seq_length = 8192;
  std::optional<int64_t> max_samples;
  std::optional<std::string> token_freq_path;
  bool skip_token_freq = false;  // upstream skips by default; counting is cheap here
  std::optional<int64_t> minimum_valid_tokens;
  bool overwrite = false;
  bool allow_empty_output = false;
  int64_t seed = 0;
  int64_t num_preprocessing_workers = 0;            // 0: all processors
  std::optional<std::string> chat_template_kwargs;  // JSON object
  std::optional<std::string> hidden_states_from;    // folder of regenerate-responses --hidden-states

  template <class Visitor>
  void options(Visitor&& option) {
    option("model", model, "verifier folder (tokenizer and chat template)");
    option("data", data, ".jsonl or .json files, or folders of them");
    option("output", output, "folder of the prepared data set");
    option("seq-length", seq_length, "samples are clipped to this many tokens");
    option("max-samples", max_samples, "keep at most this many rows after shuffling");
    option("token-freq-path", token_freq_path, "where token frequencies go (default: OUTPUT/token_freq.pt)");
    option("skip-token-freq", skip_token_freq, "do not count token frequencies");
    option("minimum-valid-tokens", minimum_valid_tokens, "drop rows with fewer supervised tokens");
    option("overwrite", overwrite, "replace a data set that is already there");
    option("allow-empty-output", allow_empty_output, "an empty result is not an error");
    option("seed", seed, "seed of the shuffle");
    option("num-preprocessing-workers", num_preprocessing_workers, "threads; 0 takes all processors");
    option("chat-template-kwargs", chat_template_kwargs, "JSON object of further template variables");
    option("hidden-states-from", hidden_states_from,
           "hidden states kept by regenerate-responses, linked into "
           "OUTPUT/hidden_states");
  }
};

// Every row that goes in is accounted for:
//   num_rows_in = num_rows_unread + num_unusable + tokenised rows +
//   conversations num_samples = mask.num_turns - mask.num_context_full -
//   num_unsupervised - num_below_minimum - num_beyond_maximum
// where a tokenised row counts as one turn.
struct PrepareDataReport {
  bool already_there = false;
  int64_t num_rows_in = 0, num_samples = 0;
  int64_t num_rows_unread = 0;      // left by the cut of every source to three times --max-samples
  int64_t num_unusable = 0;         // rows that are no conversation (odd turns, images); left out
  std::string first_unusable;       // the reason of the first of them
  int64_t num_without_samples = 0;  // usable rows that gave no sample
  int64_t num_tokens = 0, num_supervised = 0;
  int64_t num_unsupervised = 0;    // turns dropped: no supervised token
  int64_t num_below_minimum = 0;   // dropped: --minimum-valid-tokens
  int64_t num_beyond_maximum = 0;  // left out by --max-samples
  int64_t num_hidden_states = 0;   // files linked from --hidden-states-from
  MaskCounts mask;
  RowWarnings rows;
  std::string first_sample;  // coloured: supervised tokens blue, the rest grey
};

// Throws UsageError for options and an output folder that holds something else,
// DataError for damaged sources (the first one in the order of the rows),
// Interrupted when a stop was requested; nothing is written then.
PrepareDataReport prepare_data(const PrepareDataOptions& options);

// The report as lines for people.
std::string describe(const PrepareDataReport& report, const std::string& output);

}  // namespace speculators
