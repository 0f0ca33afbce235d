// Which rows and slots the fused DFlash pass computes, and what each slot attends to. Internal to dflash/.
// Slots are numbered block by block: slot = block * L + offset. Blocks without a supervised slot are left out.
// Dims: T packed tokens, C context rows, G blocks, L block size, U distinct slot tokens.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "draft/dflash/targets.h"
#include "draft/dflash/trainable_model.h"
#include "draft/training/row_set.h"
#include "nn/range_attention.h"

namespace speculators {

struct BlockRows {
  BlockPlan plan;                       // blocks renumbered
  RowSet context;                       // [C] rows that some block sees
  std::vector<int64_t> document_first;  // [T] first row of each row's document
  std::vector<int64_t> slot_rows;       // [G*L] anchor + offset; may lie behind the end of the document or the batch
  std::vector<int64_t> slot_tokens;     // [G*L] index into tokens
  std::vector<int64_t> tokens;          // [U] distinct token ids, the mask token first
  std::vector<int64_t> last_queries;    // slots that predict: what the last layer asks from
};

BlockRows make_block_rows(const BatchRows& rows, const DFlashModel& model, BlockPlan plan,
                          const std::vector<int64_t>& input_ids);

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
