// What turns ids into vectors and states into logits: embedding, head and the id mapping of a speculator, with what its
// file leaves out taken from the verifier. Source: reference algorithms.md 3.1, 3.2.
// Dims: D hidden size, V draft vocabulary.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"
#include "draft/embedding_table.h"
#include "kernels/packed_linear.h"

namespace speculators {

enum class VocabularySource {
  kSpeculator,  // its own tensors; the verifier's where there are none
  kVerifier,    // the verifier's embedding always, its head unless the vocabulary is reduced
};

class DraftVocabulary {
 public:
  // `weights` was checked against its table. Throws DataError for a verifier that lacks or misshapes what is needed.
  DraftVocabulary(TensorFile weights, const fs::path& verifier_folder, const ModelConfig& layer,
                  VocabularySource source);

  void embed(int32_t token, float* row) const { embedding_->copy_row(token, row); }  // [D]
  // states [M, D] -> logits [M, V].
  void logits(const float* states, int64_t num_rows, float* logits) const {
    lm_head_.forward(states, num_rows, logits);
  }
  int64_t size() const { return lm_head_.num_outputs(); }  // V
  std::span<const int32_t> draft_to_verifier() const { return draft_to_verifier_; }

 private:
  TensorFile weights_;
  std::optional<TensorFile> verifier_;  // open while the embedding lies in it
  std::unique_ptr<EmbeddingTable> embedding_;
  PackedLinear lm_head_;
  std::vector<int32_t> draft_to_verifier_;
};

}  // namespace speculators
