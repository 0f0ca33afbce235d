#include "draft/peagle/trainable_rows.h"

#include <algorithm>
#include <tuple>

namespace speculators {

std::vector<DepthSlot> SlotRows::with_slots(const RowSet& packed_rows) const {
  std::vector<DepthSlot> result;
  for (const int64_t row : packed_rows.rows()) result.push_back({row, 0});
  result.insert(result.end(), slots.begin(), slots.end());
  return result;
}

SlotRows make_slot_rows(const BatchRows& rows, std::vector<DepthSlot> slots) {
  SlotRows result;
  result.documents = rows.documents;
  result.document_first = document_starts(rows);
  std::vector<uint8_t> context(rows.num_rows(), 0);
  const auto add_context = [&](int64_t last) {
    for (int64_t r = last; r >= 0 && r >= result.document_first[last] && !context[r]; --r) context[r] = 1;
  };
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    if (rows.supervised[row]) add_context(row);
  }
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].anchor >= 0) add_context(slots[i].anchor);
    result.chains[slots[i].anchor].push_back(static_cast<int64_t>(i));
  }
  result.context = RowSet(context);
  result.supervised = RowSet(rows.supervised);
  result.slots = std::move(slots);
  return result;
}

std::shared_ptr<const nn::RangeAttentionPlan> slot_attention_plan(const SlotRows& rows,
                                                                  const std::vector<DepthSlot>& queries,
                                                                  std::optional<int64_t> window) {
  auto plan = std::make_shared<nn::RangeAttentionPlan>();
  std::map<int64_t, nn::AttentionTask> tasks;  // by the first row of the anchor's document
  plan->own_begin.push_back(0);
  for (size_t i = 0; i < queries.size(); ++i) {
    const auto [anchor, depth] = queries[i];
    const bool sighted = rows.is_sighted(anchor), has_base = sighted && anchor >= 0;
    int64_t first = has_base ? rows.document_first[anchor] : 0;
    // The anchor's own row begins the chain and stays in sight.
    if (window) first = std::max(first, std::min(anchor, anchor + depth - *window + 1));
    plan->first.push_back(has_base ? rows.context.position(first) : 0);
    plan->last.push_back(has_base ? rows.context.position(anchor) + 1 : 0);
    if (sighted && depth > 0) {
      for (const int64_t slot : rows.chains.at(anchor)) {
        if (rows.slots[slot].depth <= depth) plan->own_index.push_back(slot);
      }
    }
    plan->own_begin.push_back(static_cast<int64_t>(plan->own_index.size()));
    tasks[has_base ? rows.document_first[anchor] : -1].queries.push_back(static_cast<int64_t>(i));
  }
  for (auto& [document, task] : tasks) {
    std::sort(task.queries.begin(), task.queries.end(), [&](int64_t a, int64_t b) {
      return std::tie(queries[a].anchor, queries[a].depth) < std::tie(queries[b].anchor, queries[b].depth);
    });
    plan->tasks.push_back(std::move(task));
  }
  return plan;
}

}  // namespace speculators
