#include "draft/block/trainable_rows.h"

#include <algorithm>
#include <map>
#include <numeric>

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

// The slots whose states are wanted, and where each pair's slot lies among them.
void fill_queries(BlockRows& rows, int64_t block_size, QuerySlots wanted) {
  if (wanted == QuerySlots::kWholeBlock) {  // no block is without
    rows.queries.resize(rows.slot_rows.size());
    std::iota(rows.queries.begin(), rows.queries.end(), int64_t{0});
    for (const BlockPair& pair : rows.plan.pairs) rows.pair_queries.push_back(pair.block * block_size + pair.offset);
    return;
  }
  for (const BlockPair& pair : rows.plan.pairs) {
    const int64_t slot = pair.block * block_size + pair.offset;
    int64_t first = slot;
    if (wanted == QuerySlots::kWholeStart) {
      first = pair.block * block_size;
      if (!rows.queries.empty()) first = std::max(first, rows.queries.back() + 1);
    }
    for (int64_t query = first; query <= slot; ++query) rows.queries.push_back(query);
    rows.pair_queries.push_back(static_cast<int64_t>(rows.queries.size()) - 1);
  }
}

}  // namespace

BlockRows make_block_rows(const BatchRows& rows, const std::vector<int64_t>& input_ids, BlockPlan plan,
                          const BlockRowsRequest& request) {
  BlockRows result;
  result.plan = without_empty_blocks(plan);
  result.document_first = document_starts(rows);
  std::vector<uint8_t> context(rows.num_rows(), 0);
  std::map<int64_t, int64_t> token_index = {{request.mask_token_id, 0}};
  result.tokens = {request.mask_token_id};
  for (const int64_t anchor : result.plan.anchors) {
    const int64_t first = std::max(result.document_first[anchor], anchor - std::min(request.widest_window, anchor));
    std::fill(context.begin() + first, context.begin() + anchor, uint8_t{1});
    const auto [entry, is_new] = token_index.try_emplace(input_ids[anchor], static_cast<int64_t>(result.tokens.size()));
    if (is_new) result.tokens.push_back(input_ids[anchor]);
    for (int64_t offset = 0; offset < request.block_size; ++offset) {
      result.slot_rows.push_back(anchor + offset);
      result.slot_tokens.push_back(offset == 0 ? entry->second : 0);
    }
  }
  fill_queries(result, request.block_size, request.queries);
  result.context = RowSet(context);
  return result;
}

nn::PairRows BlockRows::pairs() const {
  nn::PairRows result;
  result.states = pair_queries;
  for (const BlockPair& pair : plan.pairs) result.targets.push_back(pair.target);
  return result;
}

std::vector<int64_t> tokens_before(const BlockConfig& config, const std::vector<int64_t>& input_ids,
                                   const std::vector<int64_t>& anchors, const std::vector<int64_t>& slots) {
  const auto last = static_cast<int64_t>(input_ids.size()) - 1;
  std::vector<int64_t> tokens;
  for (const int64_t slot : slots) {
    const int64_t offset = slot % config.block_size;
    const int64_t before = config.sample_from_anchor ? offset : std::max<int64_t>(offset - 1, 0);
    tokens.push_back(input_ids[std::min(anchors[slot / config.block_size] + before, last)]);
  }
  return tokens;
}

DistinctSlots make_distinct_slots(const BlockRows& rows, int64_t block_size, int64_t num_taps) {
  DistinctSlots result;
  const int64_t num_near = std::min(num_taps, block_size);  // slots that have the anchor in sight
  std::vector<int64_t> first_near(rows.tokens.size(), -1);
  int64_t far = -1;
  for (size_t begin = 0; begin < rows.slot_tokens.size(); begin += block_size) {
    const int64_t anchor_token = rows.slot_tokens[begin];
    int64_t& first = first_near[anchor_token];
    if (first < 0) {
      first = static_cast<int64_t>(result.tokens.size());
      const bool adds_far = far < 0 && num_near < block_size;  // behind the first block's slots, all masks
      for (int64_t offset = 0; offset < num_near + (adds_far ? 1 : 0); ++offset) {
        result.tokens.push_back(offset == 0 ? anchor_token : 0);
        result.offsets.push_back(offset);
      }
      if (adds_far) far = first + num_near;
    }
    for (int64_t offset = 0; offset < block_size; ++offset)
      result.of_slot.push_back(offset < num_near ? first + offset : far);
  }
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
