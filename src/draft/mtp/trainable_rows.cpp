#include "draft/mtp/trainable_rows.h"

namespace speculators {

RowSet row_set(const std::vector<int64_t>& rows, int64_t num_rows) {
  std::vector<uint8_t> marked(num_rows, 0);
  for (const int64_t row : rows) marked[row] = 1;
  return RowSet(marked);
}

std::shared_ptr<const nn::RangeAttentionPlan> mtp_attention_plan(const MtpPlan& plan, const MtpStep& step,
                                                                 const RowSet& context) {
  auto result = std::make_shared<nn::RangeAttentionPlan>();
  int64_t document = -1;
  for (size_t i = 0; i < step.computed.size(); ++i) {
    const int64_t row = step.computed[i], first = plan.document_first[row];
    result->first.push_back(context.position(first));
    result->last.push_back(context.position(row) + 1);
    if (first != document) result->tasks.emplace_back();  // rows ascend, so a document's lie together
    document = first;
    result->tasks.back().queries.push_back(static_cast<int64_t>(i));
  }
  result->own_begin.assign(step.computed.size() + 1, 0);
  return result;
}

}  // namespace speculators
