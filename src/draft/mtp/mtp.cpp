#include "draft/mtp/mtp.h"

#include "draft/mtp/config.h"
#include "draft/mtp/weights.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return mtp_weights(parse_mtp_config(speculator.config, speculator.layer_config, place));
}

}  // namespace

DraftAlgorithm mtp_algorithm() {
  return {
      .name = "mtp",
      .summary = "the verifier's own multi-token-prediction layer, applied once more for each draft token",
      .architecture = "MTPDraftModel",
      .weight_table = weight_table,
      .make_proposer = make_mtp_proposer,
  };
}

}  // namespace speculators
