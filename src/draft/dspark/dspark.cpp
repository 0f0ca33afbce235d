#include "draft/dspark/dspark.h"

#include "draft/dspark/config.h"
#include "draft/dspark/weights.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return dspark_weights(parse_dspark_config(speculator.config, speculator.layer_config, place));
}

}  // namespace

DraftAlgorithm dspark_algorithm() {
  return {
      .name = "dspark",
      .summary = "a DFlash block whose logits are corrected from the token drawn before, with a confidence head",
      .architecture = "DSparkDraftModel",
      .weight_table = weight_table,
      .make_proposer = make_dspark_proposer,
  };
}

}  // namespace speculators
