#include "draft/eagle3/eagle3.h"

#include "draft/chain/weights.h"
#include "draft/eagle3/config.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return chain_weight_table(parse_eagle3_config(speculator.config, speculator.layer_config, place));
}

}  // namespace

DraftAlgorithm eagle3_algorithm() {
  return {
      .name = "eagle3",
      .summary = "one draft token a step from the verifier's aux hidden states; the draft feeds its own states back",
      .architecture = "Eagle3DraftModel",
      .weight_table = weight_table,
      .make_proposer = make_eagle3_proposer,
  };
}

}  // namespace speculators
