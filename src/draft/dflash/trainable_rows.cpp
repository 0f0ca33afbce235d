#include "draft/dflash/trainable_rows.h"

#include <algorithm>
#include <limits>
#include <map>

namespace speculators {
namespace {

BlockPlan without_empty_blocks(const BlockPlan& plan) {
  BlockPlan kept;
  int64_t last = -1;
  for (BlockPair pair : plan.pairs) {
    if (pair.block != last) kept.anchors.push_back(plan.anchors[pair.block]);
    last = pair.block;
    pair.block = static_cast<int64_t>(kept.anchors.size()) - 1;
    kept.pairs.push_back(pair);
  }
  return kept;
}

// No layer looks back further than this.
int64_t widest_window(const DFlashModel& model) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    if (!model.is_sliding(i)) return std::numeric_limits<int64_t>::max();
  }
  return *model.config.layer.sliding_window;
}

}  // namespace

BlockRows make_block_rows(const BatchRows& rows, const DFlashModel& model, BlockPlan plan,
                          const std::vector<int64_t>& input_ids) {
  BlockRows result;
  result.plan = without_empty_blocks(plan);
  result.document_first = document_starts(rows);
  std::vector<uint8_t> context(rows.num_rows(), 0);
  std::map<int64_t, int64_t> token_index = {{model.config.mask_token_id, 0}};
  result.tokens = {model.config.mask_token_id};
  const int64_t window = widest_window(model), block_size = model.config.block_size;
  for (const int64_t anchor : result.plan.anchors) {
    const int64_t first = std::max(result.document_first[anchor], anchor - std::min(window, anchor));
    std::fill(context.begin() + first, context.begin() + anchor, uint8_t{1});
    const auto [entry, is_new] = token_index.try_emplace(input_ids[anchor], static_cast<int64_t>(result.tokens.size()));
    if (is_new) result.tokens.push_back(input_ids[anchor]);
    for (int64_t offset = 0; offset < block_size; ++offset) {
      result.slot_rows.push_back(anchor + offset);
      result.slot_tokens.push_back(offset == 0 ? entry->second : 0);
    }
  }
  for (const BlockPair& pair : result.plan.pairs) result.last_queries.push_back(pair.block * block_size + pair.offset);
  result.context = RowSet(context);
  return result;
}

std::shared_ptr<const nn::RangeAttentionPlan> block_attention_plan(const BlockRows& rows,
                                                                   const std::vector<int64_t>& query_slots,
                                                                   int64_t block_size, BlockVisibility visibility) {
  auto plan = std::make_shared<nn::RangeAttentionPlan>();
  std::map<int64_t, nn::AttentionTask> tasks;  // by the first row of the document
  plan->own_begin.push_back(0);
  for (size_t i = 0; i < query_slots.size(); ++i) {
    const int64_t block = query_slots[i] / block_size, offset = query_slots[i] % block_size;
    const int64_t anchor = rows.plan.anchors[block];
    int64_t first = rows.document_first[anchor];
    if (visibility.window) first = std::max(first, anchor - *visibility.window);
    const int64_t base = first < anchor ? rows.context.position(first) : 0;  // the rows of a range lie side by side
    plan->first.push_back(base);
    plan->last.push_back(base + (anchor - first));
    const int64_t num_own = visibility.causal ? offset + 1 : block_size;
    for (int64_t key = 0; key < num_own; ++key) plan->own_index.push_back(block * block_size + key);
    plan->own_begin.push_back(static_cast<int64_t>(plan->own_index.size()));
    tasks[rows.document_first[anchor]].queries.push_back(static_cast<int64_t>(i));
  }
  for (auto& [document, task] : tasks) plan->tasks.push_back(std::move(task));
  return plan;
}

}  // namespace speculators
