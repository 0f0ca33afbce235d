// Which rows and slots the fused block pass computes, and what each slot attends to.
// Slots are numbered block by block: slot = block * L + offset. Blocks without a supervised slot are left out.
// Dims: T packed tokens, C context rows, G blocks, L block size, U distinct slot tokens, Q query slots.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "draft/block/targets.h"
#include "draft/training/row_set.h"
#include "nn/range_attention.h"

namespace speculators {

// The slots whose states are wanted.
enum class QuerySlots {
  kSupervised,  // those that are compared with a target
  kWholeStart,  // and every slot before them in their block
  kWholeBlock,  // every slot of a block that has one
};

struct BlockRows {
  BlockPlan plan;                       // blocks renumbered
  RowSet context;                       // [C] rows that some block sees
  std::vector<int64_t> document_first;  // [T] first row of each row's document
  std::vector<int64_t> slot_rows;       // [G*L] anchor + offset; may lie behind the end of the document or the batch
  std::vector<int64_t> slot_tokens;     // [G*L] index into tokens
  std::vector<int64_t> tokens;          // [U] distinct token ids, the mask token first
  std::vector<int64_t> queries;         // [Q] slots that the last layer asks from, ascending
  std::vector<int64_t> pair_queries;    // for each pair of the plan, its slot's index into queries

  nn::PairRows pairs() const;  // of the query slots' states
};

struct BlockRowsRequest {
  int64_t block_size = 0, mask_token_id = 0;
  int64_t widest_window = 0;  // no layer looks back further
  QuerySlots queries = QuerySlots::kSupervised;
};
BlockRows make_block_rows(const BatchRows& rows, const std::vector<int64_t>& input_ids, BlockPlan plan,
                          const BlockRowsRequest& request);

// The token before each slot: the block's own, the anchor's where the slot has none in front. Slots behind the end of
// the batch, which no loss reads, get the last row's. int64 [slots]
std::vector<int64_t> tokens_before(const BlockConfig& config, const std::vector<int64_t>& input_ids,
                                   const std::vector<int64_t>& anchors, const std::vector<int64_t>& slots);

// What a convolution of `num_taps` reads in the first layer, where slots of different blocks are mostly alike: the
// slots near each distinct anchor token, and one that has only mask tokens in sight.
struct DistinctSlots {
  std::vector<int64_t> tokens;   // index into BlockRows::tokens
  std::vector<int64_t> offsets;  // in their block; blocks lie one behind the other
  std::vector<int64_t> of_slot;  // [G*L] the distinct slot that each slot is alike
};
DistinctSlots make_distinct_slots(const BlockRows& rows, int64_t block_size, int64_t num_taps);

// Slots see context rows of the anchor's document before the anchor (the last `window` of them) and their own block
// (`causal`: up to themselves).
struct BlockVisibility {
  std::optional<int64_t> window;
  bool causal = false;
};
std::shared_ptr<const nn::RangeAttentionPlan> block_attention_plan(const BlockRows& rows,
                                                                   const std::vector<int64_t>& query_slots,
                                                                   int64_t block_size, BlockVisibility visibility);

}  // namespace speculators
