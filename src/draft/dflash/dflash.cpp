#include "draft/dflash/dflash.h"

#include "draft/block/weights.h"
#include "draft/dflash/config.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return block_weight_table(parse_dflash_config(speculator.config, speculator.layer_config, place));
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
