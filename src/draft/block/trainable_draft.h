// What every trainable draft of the DFlash family does the same way: draw anchors, choose the fused or the plain path,
// list, save and load its tensors. Not thread-safe: one training thread owns a draft.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "draft/block/trainable_model.h"
#include "draft/trainable.h"

namespace speculators {

class TrainableBlockDraft : public TrainableDraft {
 public:
  LossResult forward(const TrainBatch& batch, uint64_t seed) override;
  // Neither the embedding nor a full head: both are the verifier's.
  std::vector<NamedParameter> saved_tensors() override;
  int64_t speculative_tokens() const override { return block().config.speculative_tokens(); }
  const std::vector<int64_t>& aux_layer_ids() const override { return block().config.aux_layer_ids; }
  TrainDocument prepare(TrainDocument document) const override { return document; }  // no shift
  void load(const std::map<std::string, torch::Tensor>& tensors) override;
  double needed_flops(const TrainBatch& batch) const override;

 protected:
  virtual const BlockModel& block() const = 0;
  virtual FrozenTensors& frozen() = 0;
  // `anchors`: ascending rows.
  virtual LossResult forward_fused(const TrainBatch& batch, const std::vector<int64_t>& anchors) = 0;
  virtual LossResult forward_plain(const TrainBatch& batch, const std::vector<int64_t>& anchors) = 0;
  virtual double flops_of(const TrainBatch& batch, const std::vector<int64_t>& anchors) const = 0;

 private:
  std::vector<int64_t> anchors_of(const TrainBatch& batch, uint64_t seed) const;
};

}  // namespace speculators
