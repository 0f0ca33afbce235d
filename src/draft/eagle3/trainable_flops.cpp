#include <set>

#include "draft/eagle3/trainable_model.h"
#include "draft/eagle3/trainable_rows.h"
#include "draft/training/flops.h"

namespace speculators {
namespace {

double head_flops(const Eagle3Model& model, const ChainPlan& plan) {
  const int64_t hidden_size = model.config.layer.hidden_size, vocab = model.config.draft_vocab_size;
  std::set<int64_t> targets;
  int64_t in_loss = 0;
  for (const ChainPair& pair : plan.pairs) {
    targets.insert(pair.target());
    in_loss += pair.in_loss;
  }
  // Target rows once, draft rows forward, and the gradient of the state of those in the loss; heads are frozen.
  return product_flops(static_cast<int64_t>(targets.size() + plan.pairs.size()) + in_loss, hidden_size, vocab, 1);
}

}  // namespace

double eagle3_needed_flops(const Eagle3Model& model, const TrainBatch& batch) {
  const int64_t hidden_size = model.config.layer.hidden_size,
                num_layers = static_cast<int64_t>(model.network.layers.size());
  const BatchRows batch_rows = read_batch_rows(batch, model.network.aux_width(), hidden_size);
  const ChainRows rows = make_chain_rows(
      batch_rows, plan_chains(batch_rows, model.options.ttt_steps, model.options.compat_upstream), num_layers > 1);
  double total = head_flops(model, rows.plan);
  total += product_flops(rows.context.size(), model.network.aux_width(), hidden_size, 2);  // features need no gradient
  const auto& shape = model.network.layers[0].shape;
  const int64_t q_width = shape.num_heads * shape.head_dim, kv_width = 2 * shape.num_kv_heads * shape.head_dim;
  // The embedding half of the first layer's q, k, v: once per token, no gradient of the input.
  total += product_flops(rows.query_tokens.size(), hidden_size, q_width, 2);
  total += product_flops(rows.key_tokens.size(), hidden_size, kv_width, 2);
  for (int64_t step = 0; step < model.options.ttt_steps; ++step) {
    for (int64_t i = 0; i < num_layers; ++i) {
      const std::vector<int64_t> chains = rows.active(step);
      const bool everywhere = step == 0 && i + 1 < num_layers;
      const auto& queries = everywhere ? rows.context.rows() : chains;
      const auto keys = step == 0 ? rows.context.size() : static_cast<int64_t>(chains.size());
      const auto num_queries = static_cast<int64_t>(queries.size());
      total += product_flops(num_queries, hidden_size, q_width, 3) + product_flops(keys, hidden_size, kv_width, 3);
      total += tail_flops(shape, num_queries);
      total += attention_flops(shape, *chain_attention_plan(rows, queries, step, model.network.windows[i]));
    }
  }
  return total;
}

}  // namespace speculators
