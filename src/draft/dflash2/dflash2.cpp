#include "draft/dflash2/dflash2.h"

#include "draft/dflash2/config.h"
#include "draft/dflash2/weights.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return dflash2_weights(parse_dflash2_config(speculator.config, speculator.layer_config, place));
}

}  // namespace

DraftAlgorithm dflash2_algorithm() {
  return {
      .name = "dflash2",
      .summary = "a DFlash block with convolutions along its slots, and a selector that knows the token drawn before",
      .architecture = "DFlash2DraftModel",
      .weight_table = weight_table,
      .make_proposer = make_dflash2_proposer,
  };
}

}  // namespace speculators
