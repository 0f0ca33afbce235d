#include <set>

#include "draft/peagle/trainable_model.h"
#include "draft/peagle/trainable_rows.h"
#include "draft/training/flops.h"

namespace speculators {
namespace {

// The first layer's q, k, v: the slots of depth 1 and more are one row together.
double first_projections(const PEagleModel& model, const TrainBatch& batch, const SlotRows& rows,
                         const RowSet& asking) {
  const auto& shape = model.network.layers[0].shape;
  const int64_t hidden_size = shape.hidden_size;
  const int64_t q_width = shape.num_heads * shape.head_dim, kv_width = 2 * shape.num_kv_heads * shape.head_dim;
  const int64_t num_queries = asking.size() + 1, num_keys = rows.context.size() + 1;
  const auto of_rows = [&](int64_t inputs) {
    return product_flops(num_queries, inputs, q_width, 3) + product_flops(num_keys, inputs, kv_width, 3);
  };
  if (model.config.embed_requires_grad) return of_rows(2 * hidden_size);
  // The embedding half once per distinct token, no gradient of the input.
  const auto ids = host_values(batch.input_ids.index_select(0, rows.context.index()));
  std::set<int64_t> tokens(ids.begin(), ids.end());
  tokens.insert(model.config.mask_token_id);
  return of_rows(hidden_size) + product_flops(static_cast<int64_t>(tokens.size()), hidden_size, q_width + kv_width, 2);
}

}  // namespace

double peagle_needed_flops(const PEagleModel& model, const TrainBatch& batch, const std::vector<DepthSlot>& slots) {
  const ChainNetwork& network = model.network;
  const int64_t hidden_size = network.hidden_size;
  const BatchRows batch_rows = read_batch_rows(batch, network.aux_width(), hidden_size);
  const SlotRows rows = make_slot_rows(batch_rows, slots);
  const std::vector<DepthSlot> pairs = loss_slots(batch_rows, slots);
  std::set<int64_t> targets;
  for (const DepthSlot& pair : pairs) targets.insert(pair.row());

  // Target rows once, draft rows forward and the gradient of their state; heads are frozen.
  double total = product_flops(static_cast<int64_t>(targets.size() + 2 * pairs.size()), hidden_size,
                               model.config.draft_vocab_size, 1);
  total += product_flops(rows.context.size(), network.aux_width(), hidden_size, 2);  // features need no gradient
  total += product_flops(1, network.aux_width(), hidden_size, 3);
  const int64_t num_keys = rows.context.size() + static_cast<int64_t>(slots.size());
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const auto& shape = network.layers[i].shape;
    const RowSet& asking = i + 1 == network.layers.size() ? rows.supervised : rows.context;
    const auto queries = rows.with_slots(asking);
    const auto num_queries = static_cast<int64_t>(queries.size());
    total += i == 0 ? first_projections(model, batch, rows, asking)
                    : product_flops(num_queries, hidden_size, shape.num_heads * shape.head_dim, 3) +
                          product_flops(num_keys, hidden_size, 2 * shape.num_kv_heads * shape.head_dim, 3);
    total += tail_flops(shape, num_queries);
    total += attention_flops(shape, *slot_attention_plan(rows, queries, network.windows[i]));
  }
  return total;
}

}  // namespace speculators
