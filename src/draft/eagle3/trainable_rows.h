// Which rows the fused EAGLE-3 pass computes, and what each attends to. Internal to eagle3/.
// Context rows are base keys: rows of a document up to its last chain. Chain rows are ChainPlan::rows.
// Dims: T packed tokens, C context rows.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "draft/eagle3/targets.h"
#include "draft/training/row_set.h"
#include "nn/range_attention.h"

namespace speculators {

struct ChainRows {
  ChainPlan plan;
  RowSet context;       // [C]
  RowSet query_tokens;  // rows whose token a query row reads: chain row + step (all context rows if queried)
  RowSet key_tokens;    // rows whose token a key row reads
  std::vector<int64_t> document_first;  // [T] first row of each row's document
  std::vector<int64_t> documents;       // [T]

  // The first plan.num_active[step] chain rows.
  std::vector<int64_t> active(int64_t step) const;
};

// `queries_everywhere`: several layers, so that context rows go through whole layers.
ChainRows make_chain_rows(const BatchRows& rows, ChainPlan plan, bool queries_everywhere);

// Queries at `query_rows` of a step see context rows of their document up to themselves (the last `window` of them) and
// the entries of their own chain at steps 1..step, which lie step behind step, `query_rows` long each.
std::shared_ptr<const nn::RangeAttentionPlan> chain_attention_plan(const ChainRows& rows,
                                                                   const std::vector<int64_t>& query_rows, int64_t step,
                                                                   std::optional<int64_t> window);

}  // namespace speculators
