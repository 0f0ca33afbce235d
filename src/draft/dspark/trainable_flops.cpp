#include "draft/dspark/trainable_model.h"
#include "draft/training/flops.h"

namespace speculators {

double dspark_needed_flops(const DSparkModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  const DSparkConfig& config = model.config;
  const BlockPlan plan =
      plan_blocks(read_batch_rows(model.block, batch), config, anchors, model.options.compat_upstream);
  const auto wanted = config.is_recurrent() ? QuerySlots::kWholeStart : QuerySlots::kSupervised;
  const BlockRows rows = make_block_rows(model.block, batch, plan, wanted);
  const auto num_pairs = static_cast<int64_t>(rows.plan.pairs.size()),
             num_queries = static_cast<int64_t>(rows.queries.size());
  double total = block_flops(model.block, rows);
  if (config.has_markov_head()) total += product_flops(num_pairs, config.markov_rank, config.draft_vocab_size, 3);
  if (model.mix_weight.defined())
    total += product_flops(num_queries, model.mix_weight.size(1), model.mix_weight.size(0), 3);
  if (config.enable_confidence_head) total += product_flops(num_pairs, config.num_confidence_inputs(), 1, 3);
  return total;
}

}  // namespace speculators
