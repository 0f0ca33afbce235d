#include "draft/xpress/xpress.h"

#include "draft/xpress/config.h"
#include "draft/xpress/weights.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return xpress_weights(parse_xpress_config(speculator.config, speculator.layer_config, place));
}

}  // namespace

DraftAlgorithm xpress_algorithm() {
  return {
      .name = "xpress",
      .summary = "a DFlash block whose tokens a small causal refiner settles in a few parallel passes",
      .architecture = "XPressDraftModel",
      .weight_table = weight_table,
      .make_proposer = make_xpress_proposer,
  };
}

}  // namespace speculators
