#include "draft/dflash/dflash.h"

#include "draft/dflash/config.h"
#include "draft/dflash/weights.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return dflash_weights(parse_dflash_config(speculator.config, speculator.layer_config, place));
}

}  // namespace

DraftAlgorithm dflash_algorithm() {
  return {
      .name = "dflash",
      .summary = "a block of mask tokens filled in one pass over the verifier's projected states",
      .architecture = "DFlashDraftModel",
      .weight_table = weight_table,
      .make_proposer = make_dflash_proposer,
  };
}

}  // namespace speculators
