// What each row of a fused MTP step attends to. Internal to mtp/.
#pragma once

#include <memory>

#include "draft/mtp/targets.h"
#include "draft/training/row_set.h"
#include "nn/range_attention.h"

namespace speculators {

RowSet row_set(const std::vector<int64_t>& rows, int64_t num_rows);

// The computed rows of a step see the context rows of their document up to themselves.
std::shared_ptr<const nn::RangeAttentionPlan> mtp_attention_plan(const MtpPlan& plan, const MtpStep& step,
                                                                 const RowSet& context);

}  // namespace speculators
