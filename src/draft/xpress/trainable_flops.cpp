#include "draft/training/flops.h"
#include "draft/xpress/trainable_model.h"

namespace speculators {

double xpress_needed_flops(const XPressModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const XPressConfig& config = model.config;
  const BlockPlan plan =
      plan_blocks(read_batch_rows(model.block, batch), config, anchors, model.options.compat_upstream);
  const BlockRows rows = make_block_rows(model.block, batch, plan, QuerySlots::kWholeBlock);
  const auto num_pairs = static_cast<int64_t>(rows.plan.pairs.size()),
             num_slots = static_cast<int64_t>(rows.slot_rows.size()), num_blocks = num_slots / config.block_size;
  const int64_t rank = config.xpress_rank, hidden = config.layer.hidden_size, passes = 1 + model.options.num_rounds();
  // States and means once; token, mixer and MLP in every pass; the vocabulary for what is compared.
  const int64_t num_mixed = num_blocks * config.block_size * (config.block_size + 1) / 2;
  return block_flops(model.block, rows) + product_flops(num_slots + num_blocks, hidden + rank, rank, 3) +
         product_flops(passes * num_slots, rank, rank + 3 * config.mlp_width(), 3) +
         product_flops(passes * num_mixed, 1, rank, 3) +
         product_flops(passes * num_pairs, rank, config.draft_vocab_size, 3);
}

}  // namespace speculators
