#include "draft/dflash2/trainable_model.h"
#include "draft/training/flops.h"

namespace speculators {

double dflash2_needed_flops(const DFlash2Model& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const DFlash2Config& config = model.config;
  const BlockPlan plan =
      plan_blocks(read_batch_rows(model.block, batch), config, anchors, model.options.compat_upstream);
  const BlockRows rows = make_block_rows(model.block, batch, plan, QuerySlots::kWholeStart);
  const auto num_pairs = static_cast<int64_t>(rows.plan.pairs.size());
  const int64_t hidden = config.layer.hidden_size, rank = config.selector_rank;
  // The state's projection; each candidate's product with the context, and the logit's gradient to the state.
  return block_flops(model.block, rows) + product_flops(num_pairs, hidden, rank, 3) +
         product_flops(num_pairs, rank, config.selector_top_k, 3) +
         product_flops(num_pairs, hidden, config.selector_top_k, 1);
}

}  // namespace speculators
