#include "draft/block/trainable_draft.h"

#include "draft/training/parameters.h"

namespace speculators {

LossResult TrainableBlockDraft::forward(const TrainBatch& batch, uint64_t seed) {
  const std::vector<int64_t> anchors = anchors_of(batch, seed);
  const bool plain = block().options.plain_ops || !batch.input_ids.is_cpu();
  return plain ? forward_plain(batch, anchors) : forward_fused(batch, anchors);
}

std::vector<NamedParameter> TrainableBlockDraft::saved_tensors() {
  std::vector<NamedParameter> result;
  for (const NamedParameter& parameter : parameters()) result.push_back({parameter.name, parameter.value.detach()});
  if (block().config.reduced_vocabulary()) result.push_back({"lm_head.weight", block().frozen.heads.lm_head});
  append_vocabulary(result, block().frozen);
  return result;
}

void TrainableBlockDraft::load(const std::map<std::string, torch::Tensor>& tensors) {
  load_parameters(parameters(), tensors);
  if (block().config.reduced_vocabulary()) load_own_head(frozen(), tensors);
}

double TrainableBlockDraft::needed_flops(const TrainBatch& batch) const {
  return flops_of(batch, anchors_of(batch, /*seed=*/0));
}

std::vector<int64_t> TrainableBlockDraft::anchors_of(const TrainBatch& batch, uint64_t seed) const {
  return draw_anchors(read_batch_rows(block(), batch), block().config, block().options, seed);
}

}  // namespace speculators
