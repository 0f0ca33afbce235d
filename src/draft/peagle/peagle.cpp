#include "draft/peagle/peagle.h"

#include "draft/peagle/config.h"
#include "draft/peagle/weights.h"

namespace speculators {
namespace {

WeightTable weight_table(const Speculator& speculator, const std::string& place) {
  return peagle_weights(parse_peagle_config(speculator.config, speculator.layer_config, place));
}

}  // namespace

DraftAlgorithm peagle_algorithm() {
  return {
      .name = "peagle",
      .summary =
          "EAGLE-3's layers, all draft tokens in one pass: later positions hold a mask token and a learned state",
      .architecture = "PEagleDraftModel",
      .weight_table = weight_table,
      .make_proposer = make_peagle_proposer,
  };
}

}  // namespace speculators
