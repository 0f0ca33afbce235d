// Which slots the fused P-EAGLE pass computes, and what each attends to. Internal to peagle/.
// Context rows are base keys: rows of a document up to its last anchor or supervised row.
// Dims: T packed tokens, C context rows, M slots of depth 1 and more.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "draft/peagle/targets.h"
#include "draft/training/row_set.h"
#include "nn/range_attention.h"

namespace speculators {

struct SlotRows {
  std::vector<DepthSlot> slots;                    // [M]
  RowSet context;                                  // [C]
  RowSet supervised;                               // rows in the loss
  std::map<int64_t, std::vector<int64_t>> chains;  // indices into `slots` by anchor, ascending depth
  std::vector<int64_t> documents, document_first;  // [T]

  // Whether a slot with this anchor sees anything; upstream looks anchor -1 up at the last row.
  bool is_sighted(int64_t anchor) const { return (anchor < 0 ? documents.back() : documents[anchor]) >= 0; }
  // Packed rows (depth 0), then all slots.
  std::vector<DepthSlot> with_slots(const RowSet& packed_rows) const;
};

SlotRows make_slot_rows(const BatchRows& rows, std::vector<DepthSlot> slots);

// Queries see context rows of their document up to their anchor (a sliding layer: the last of them) and the slots of
// their chain up to themselves, which lie in the order of rows.slots.
std::shared_ptr<const nn::RangeAttentionPlan> slot_attention_plan(const SlotRows& rows,
                                                                  const std::vector<DepthSlot>& queries,
                                                                  std::optional<int64_t> window);

}  // namespace speculators
