// From options to a draft that can be trained, and to the config.json it will be saved with.
// Source: reference algorithms.md 2.3, 3.2, 18, 19.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "draft/speculator.h"
#include "draft/trainable.h"
#include "train/train_options.h"

namespace speculators {

struct DraftSetup {
  std::unique_ptr<TrainableDraft> draft;
  Speculator speculator;  // complete: what save_speculator writes
  ModelConfig verifier;
  std::vector<std::string> warnings;
};

// A fresh draft, or the one of --from-pretrained with its weights, on `device`. Throws UsageError for options,
// DataError for the verifier's or the speculator's files.
DraftSetup make_draft(const TrainOptions& options, torch::Device device);

// Embedding, head and final norm, fp32. Zero-centred norms (x (1 + w)) are handed on as 1 + w unless `upstream_norm`.
VerifierTensors load_verifier_tensors(const fs::path& folder, const ModelConfig& verifier, torch::Device device,
                                      bool upstream_norm, std::vector<std::string>& warnings);

// The token that stands for a slot to fill: the tokenizer's mask token, else the first id that it does not use, else
// pad, eos, unk. Throws UsageError when there is none.
int64_t choose_mask_token(const fs::path& verifier_folder, const ModelConfig& verifier);

// Makes `folder` hold config.json and the bf16 weights of the draft as it is now, and nothing else.
void save_for_serving(const fs::path& folder, const Speculator& speculator, TrainableDraft& draft);

}  // namespace speculators
