// For tests: a P-EAGLE draft with the weights of a golden case, and the slots that upstream drew.
#pragma once

#include "draft/peagle/trainable_model.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"

namespace speculators::golden {

inline SlotSampling sampling_of(const Case& c) {
  const Json& call = c.meta.at("call");
  return {call.at("num_depths").get<int64_t>(), call.at("down_sample_ratio").get<double>(),
          call.at("down_sample_ratio_min").get<double>(), call.at("max_anchors").get<int64_t>()};
}

// Of depth 1 and more, in upstream's order.
inline std::vector<DepthSlot> slots_of(const Case& c) {
  const auto anchors = host_values(c.get("r.anchor_pos")), depths = host_values(c.get("r.depth"));
  std::vector<DepthSlot> slots;
  for (size_t i = 0; i < anchors.size(); ++i) {
    if (depths[i] > 0) slots.push_back({anchors[i], depths[i]});
  }
  return slots;
}

inline PEagleModel peagle_model(const Case& c) {
  const Json& fields = c.meta.at("algorithm_config");
  const PEagleConfig config = parse_peagle_config(fields, layer_config(c), "golden case");
  PEagleTrainingOptions options;
  options.sampling = sampling_of(c);
  options.loss = nn::parse_loss_spec(c.meta.at("call").at("loss_config").dump());
  options.compat_upstream = true;
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  PEagleModel model =
      make_peagle_model(config, options, make_frozen_tensors(verifier_of(c), vocabulary_of(c), shape), /*seed=*/1);
  load_parameters(parameters_of(model), c.group("w."));
  return model;
}

}  // namespace speculators::golden
