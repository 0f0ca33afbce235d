#include "draft/eagle3/trainable_model.h"

namespace speculators {

LossResult eagle3_forward(const Eagle3Model& model, const TrainBatch& batch) { return eagle3_forward_plain(model, batch); }
double eagle3_needed_flops(const Eagle3Model& model, const TrainBatch& batch) { return 1; }

}  // namespace speculators
