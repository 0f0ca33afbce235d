#include <numeric>
#include <set>

#include "draft/block/trainable_model.h"
#include "draft/training/flops.h"

namespace speculators {

namespace {

double first_layer_flops(const BlockModel& model, const BlockRows& rows, int64_t num_outputs) {
  const int64_t hidden_size = model.config.layer.hidden_size;
  if (model.convolutions.empty())
    return product_flops(static_cast<int64_t>(rows.tokens.size()), hidden_size, num_outputs, 2);
  const int64_t num_taps = model.convolutions[0].attention.base_kernel.size(1);
  const DistinctSlots distinct = make_distinct_slots(rows, model.config.block_size, num_taps);
  return product_flops(static_cast<int64_t>(distinct.tokens.size()), hidden_size, num_outputs, 3);
}

}  // namespace

double block_flops(const BlockModel& model, const BlockRows& rows) {
  const int64_t hidden_size = model.config.layer.hidden_size, block_size = model.config.block_size;
  std::set<int64_t> targets;
  for (const BlockPair& pair : rows.plan.pairs) targets.insert(pair.target);
  const auto num_pairs = static_cast<int64_t>(rows.plan.pairs.size()),
             num_slots = static_cast<int64_t>(rows.slot_rows.size());

  // Target rows once, predicting slots forward and the gradient of their state; heads are frozen, features need no
  // gradient.
  double total = product_flops(static_cast<int64_t>(targets.size()) + 2 * num_pairs, hidden_size,
                               model.config.draft_vocab_size, 1);
  total += product_flops(rows.context.size(), model.config.num_aux() * hidden_size, hidden_size, 2);
  std::vector<int64_t> all(num_slots);
  std::iota(all.begin(), all.end(), int64_t{0});
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const auto& shape = model.layers[i].shape;
    const auto& queries = i + 1 == model.layers.size() ? rows.queries : all;
    const auto num_queries = static_cast<int64_t>(queries.size());
    const int64_t q_width = shape.num_heads * shape.head_dim, kv_width = 2 * shape.num_kv_heads * shape.head_dim;
    // The first layer projects what is distinct once, tokens or what a convolution makes of them; behind tokens alone
    // there is no gradient.
    const auto num_tokens = static_cast<int64_t>(rows.tokens.size());
    total += i == 0 ? first_layer_flops(model, rows, q_width + kv_width)
                    : product_flops(num_queries, hidden_size, q_width, 3) +
                          product_flops(num_slots, hidden_size, kv_width, 3);
    total += product_flops(rows.context.size(), hidden_size, kv_width, 3);
    if (!model.convolutions.empty()) {
      const int64_t coefficients = model.convolutions[i].attention.num_coefficients();
      total += product_flops(i == 0 ? num_tokens : num_slots, hidden_size, coefficients, 3) +
               product_flops(num_queries, hidden_size, coefficients, 3);
    }
    total += tail_flops(shape, num_queries) +
             attention_flops(shape, *block_attention_plan(rows, queries, block_size, model.visibility(i)));
  }
  return total;
}

}  // namespace speculators
