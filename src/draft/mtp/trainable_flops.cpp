#include "draft/mtp/trainable_model.h"
#include "draft/mtp/trainable_rows.h"
#include "draft/training/flops.h"

namespace speculators {

double mtp_needed_flops(const MtpModel& model, const TrainBatch& batch) {
  const MtpPlan plan = make_mtp_plan(model, batch);
  const nn::LayerShape& shape = model.layer.shape;
  const int64_t hidden = shape.hidden_size, num_rows = batch.input_ids.size(0);
  // The head's product and the gradient of the states; it is frozen.
  double total = product_flops(plan.num_labelled(), hidden, model.frozen.heads.lm_head.size(0), 2);
  std::vector<uint8_t> read(num_rows, 0);
  for (size_t k = 0; k < plan.steps.size(); ++k) {
    const MtpStep& step = plan.steps[k];
    const auto keys = static_cast<int64_t>(step.context.size()), queries = static_cast<int64_t>(step.computed.size());
    for (const int64_t row : step.context) read[token_row(row, static_cast<int64_t>(k))] = 1;
    // The hidden half of input_proj; the verifier's states need no gradient, but their norm's weight does.
    total += product_flops(keys, hidden, hidden, 3);
    total += product_flops(keys, hidden, 2 * shape.num_kv_heads * shape.head_dim, 3);
    total += product_flops(queries, hidden, shape.num_heads * shape.head_dim, 3);
    total += tail_flops(shape, queries);
    total += attention_flops(shape, *mtp_attention_plan(plan, step, row_set(step.context, num_rows)));
  }
  // The embedding half, once per token read, without a gradient of the input.
  return total + product_flops(RowSet(read).size(), hidden, hidden, 2);
}

}  // namespace speculators
