// A dense decoder of the Llama family as a verifier: embedding, layers, final norm, head. What differs between the
// members (biases, query and key norms, sliding windows) is in the config and in DecoderTraits. Not thread-safe: one
// forward at a time; works on compute_pool().
#pragma once

#include "checkpoint/rotary_frequencies.h"
#include "verifier/decoder_layer.h"
#include "verifier/decoder_weights.h"
#include "verifier/verifier.h"

namespace speculators {

class Decoder : public Verifier {
 public:
  // Throws DataError for weights that do not fit the config and for configs that cannot be run here.
  Decoder(const fs::path& folder, ModelConfig config, const DecoderTraits& traits);

  const ModelConfig& config() const override { return config_; }
  std::unique_ptr<KvPool> make_kv_pool() const override;
  VerifierOutput forward(const VerifierBatch& batch) override;
  int64_t weight_bytes() const override { return weights_.num_bytes(); }

 private:
  void check(const VerifierBatch& batch) const;
  void place_rows(const VerifierBatch& batch);
  void embed(const VerifierBatch& batch);
  void keep_hidden(const VerifierBatch& batch, int64_t layer_id);
  int64_t gather_logit_rows(const VerifierBatch& batch);

  ModelConfig config_;
  DecoderWeights weights_;
  RotaryFrequencies frequencies_;
  bool has_sliding_layers_ = false;

  // Reused from pass to pass.
  RopeTable rope_;
  RowPlaces rows_;
  DecoderActivations activations_;
  AlignedVector<float> kept_hidden_;  // [T, len(hidden_layer_ids), Dv]
  AlignedVector<float> logits_;       // [logit rows, Vv]
};

}  // namespace speculators
