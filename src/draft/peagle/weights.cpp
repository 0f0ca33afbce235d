#include "draft/peagle/weights.h"

#include "draft/chain/weights.h"

namespace speculators {

WeightTable peagle_weights(const PEagleConfig& config) {
  WeightTable table = chain_weight_table(config);
  table.push_back({"mask_hidden", {1, 1, config.aux_width()}});
  return table;
}

}  // namespace speculators
