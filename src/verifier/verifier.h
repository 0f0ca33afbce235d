// The verifier: the model whose distribution is kept. One forward pass serves capture, regeneration, verification and
// plain decoding: rows of many sequences in one batch, keys and values in pages, hidden states of any layers on
// request. Layer ids: id L is the residual stream after L decoder layers; 0 is the embedding output, num_layers the
// state before the final norm ("last hidden state"). Source: reference algorithms.md section 1. Dims: T rows of the
// batch, Dv hidden size, A aux layers, Vv vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/files.h"
#include "checkpoint/model_config.h"
#include "kernels/kv_cache.h"

namespace speculators {

// Consecutive new tokens of one sequence, appended behind what its cache holds.
struct VerifierRows {
  KvSequence* sequence = nullptr;      // extended by the forward pass
  std::span<const int32_t> token_ids;  // at least one
  int64_t num_logit_rows = 0;          // logits of the last n of these tokens
};

struct VerifierBatch {
  std::vector<VerifierRows> sequences;
  std::vector<int64_t> hidden_layer_ids;  // states to keep, e.g. aux ids and num_layers; empty: none
};

// Buffers are reused from call to call: valid until the next forward.
struct VerifierOutput {
  std::span<const float> logits;         // [sum of num_logit_rows, Vv], sequences in order
  std::span<const float> hidden_states;  // [T, len(hidden_layer_ids), Dv], sequences in order
};

class Verifier {
 public:
  virtual ~Verifier() = default;
  virtual const ModelConfig& config() const = 0;
  virtual std::unique_ptr<KvPool> make_kv_pool() const = 0;
  // Throws UsageError for token ids outside the vocabulary and sequences over max_position_embeddings.
  virtual VerifierOutput forward(const VerifierBatch& batch) = 0;
  // Bytes of weights that one decode step streams (for bandwidth figures).
  virtual int64_t weight_bytes() const = 0;
};

// Loads a Hugging Face folder by the `model_type` of its config.json (verifier/registry.cpp).
// Throws DataError listing every missing, unexpected and misshapen tensor, and the known model types.
std::unique_ptr<Verifier> load_verifier(const fs::path& folder);

}  // namespace speculators
