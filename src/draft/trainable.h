// The training half of a draft: torch modules and the loss of one packed row. Everything the trainer knows about an
// algorithm goes through this interface. Source: reference algorithms.md sections 3-9.
// Dims: T packed tokens, A aux layers, D hidden size, V draft vocabulary, Vv verifier vocabulary.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "draft/train_batch.h"
#include "draft/vocabulary_map.h"

namespace speculators {

// A metric as upstream reports it: value = sum / total over everything pooled (0 when total is 0).
struct MetricPair {
  double sum = 0, total = 0;
};

struct LossResult {
  torch::Tensor loss;                         // scalar fp32, differentiable
  std::map<std::string, MetricPair> metrics;  // "loss", "full_acc_0", "position_1_acc", "eal", ...
};

// The verifier's three tensors that a draft needs, fp32 or bf16 on the training device.
struct VerifierTensors {
  torch::Tensor embed_tokens;  // [Vv, D]
  torch::Tensor lm_head;       // [Vv, D]
  torch::Tensor final_norm;    // [D]
  double final_norm_eps = 1e-6;
};

struct NamedParameter {
  std::string name;  // as in the checkpoint: "layers.0.self_attn.q_proj.weight"
  torch::Tensor value;
};

class TrainableDraft {
 public:
  virtual ~TrainableDraft() = default;
  // Loss and metrics of one packed row; the same call serves validation under NoGradGuard. `seed` determines every
  // random draw of this call (anchors), so a resumed run repeats them.
  virtual LossResult forward(const TrainBatch& batch, uint64_t seed) = 0;
  // Parameters that train, in a fixed order.
  virtual std::vector<NamedParameter> parameters() = 0;
  // Everything that config.json and model.safetensors hold for serving (trained, frozen-but-saved, t2d and d2t).
  virtual std::vector<NamedParameter> saved_tensors() = 0;
  // The algorithm's own fields of config.json.
  virtual Json config_fields() const = 0;
  virtual int64_t speculative_tokens() const = 0;
  virtual const std::vector<int64_t>& aux_layer_ids() const = 0;
  // Moves one document from stored form to the rows this algorithm trains on (EAGLE shifts by one; DFlash does not).
  virtual TrainDocument prepare(TrainDocument document) const = 0;
  // Loads trained values by name (resume, --from-pretrained). Throws DataError listing everything missing or misshapen.
  virtual void load(const std::map<std::string, torch::Tensor>& tensors) = 0;
  // Floating-point operations that one row of this batch needs (counted, for the share of the matmul rate reached).
  virtual double needed_flops(const TrainBatch& batch) const = 0;
};

}  // namespace speculators
