#include "draft/dflash/trainable_model.h"

namespace speculators {

LossResult dflash_forward(const DFlashModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) {
  return dflash_forward_plain(model, batch, anchors);
}
double dflash_needed_flops(const DFlashModel& model, const TrainBatch& batch, const std::vector<int64_t>& anchors) { return 1; }

}  // namespace speculators
