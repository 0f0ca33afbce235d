#include "draft/eagle3/trainable_rows.h"

#include <algorithm>
#include <map>

namespace speculators {

std::vector<int64_t> ChainRows::active(int64_t step) const {
  return {plan.rows.begin(), plan.rows.begin() + plan.num_active[step]};
}

ChainRows make_chain_rows(const BatchRows& rows, ChainPlan plan, bool queries_everywhere) {
  const int64_t length = rows.num_rows();
  ChainRows result;
  result.documents = rows.documents;
  result.document_first = document_starts(rows);
  std::vector<uint8_t> context(length, 0), query_tokens(length, 0), key_tokens(length, 0);
  for (const int64_t row : plan.rows) {
    for (int64_t r = row; r >= result.document_first[row] && !context[r]; --r) context[r] = 1;
  }
  key_tokens = context;
  if (queries_everywhere) query_tokens = context;
  for (int64_t step = 0; step < static_cast<int64_t>(plan.num_active.size()); ++step) {
    for (int64_t i = 0; i < plan.num_active[step]; ++i) {
      query_tokens[plan.rows[i] + step] = 1;
      key_tokens[plan.rows[i] + step] = 1;
    }
  }
  result.context = RowSet(context);
  result.query_tokens = RowSet(query_tokens);
  result.key_tokens = RowSet(key_tokens);
  result.plan = std::move(plan);
  return result;
}

std::shared_ptr<const nn::RangeAttentionPlan> chain_attention_plan(const ChainRows& rows,
                                                                   const std::vector<int64_t>& query_rows, int64_t step,
                                                                   std::optional<int64_t> window) {
  auto plan = std::make_shared<nn::RangeAttentionPlan>();
  const auto count = static_cast<int64_t>(query_rows.size());
  std::map<int64_t, nn::AttentionTask> tasks;  // by the first row of the document
  plan->own_begin.push_back(0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = query_rows[i];
    int64_t first = rows.document_first[row];
    if (window) first = std::max(first, row - *window + 1);
    plan->first.push_back(rows.context.position(first));
    plan->last.push_back(rows.context.position(row) + 1);
    for (int64_t earlier = 0; earlier < step; ++earlier) plan->own_index.push_back(earlier * count + i);
    plan->own_begin.push_back(static_cast<int64_t>(plan->own_index.size()));
    tasks[rows.document_first[row]].queries.push_back(i);
  }
  for (auto& [document, task] : tasks) {
    std::sort(task.queries.begin(), task.queries.end(),
              [&](int64_t a, int64_t b) { return query_rows[a] < query_rows[b]; });
    plan->tasks.push_back(std::move(task));
  }
  return plan;
}

}  // namespace speculators
