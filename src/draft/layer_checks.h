// What every algorithm's config.cpp checks about the parts that all drafts share: layers, vocabulary, aux layer ids.
// Each function throws DataError naming `place`. Source: reference algorithms.md 1, 2.4, 2.5; vllm_contract.md 8.0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"

namespace speculators {

inline constexpr int64_t kDefaultDraftVocabSize = 32000;  // what an absent `draft_vocab_size` means on disk

bool is_sliding(const ModelConfig& layer, int64_t index);
bool has_sliding_layers(const ModelConfig& layer);

// Heads divide, layer_types has one entry per layer, a sliding layer has a window.
void check_draft_layers(const ModelConfig& layer, const std::string& place);
void check_draft_vocab_size(int64_t draft_vocab_size, const ModelConfig& layer, const std::string& place);
// Verifier and draft must be equally wide.
void check_target_hidden_size(std::optional<int64_t> target_hidden_size, const ModelConfig& layer,
                              const std::string& place);
// Non-negative and strictly ascending (vLLM hands the states over in ascending order, whatever the list says).
// `num_verifier_layers` < 0: not known, no upper limit.
void check_aux_layer_ids(const std::vector<int64_t>& ids, const std::string& place, int64_t num_verifier_layers = -1);

// [2, n/2, n-3], what an absent list means. Throws DataError for the n (1, 2, 4, 5, 6) that have no such layers.
std::vector<int64_t> default_aux_layer_ids(int64_t num_verifier_layers);

// Reads the verifier's config.json and checks that a draft with these layers belongs to it: widths, vocabulary, layer
// ids. Returns `aux_layer_ids`, the defaults when there are none. Throws DataError naming the folder.
std::vector<int64_t> check_verifier(const fs::path& verifier_folder, const ModelConfig& layer,
                                    const std::vector<int64_t>& aux_layer_ids);

}  // namespace speculators
