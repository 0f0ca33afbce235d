// For tests: an EAGLE-3 draft with the weights of a golden case.
#pragma once

#include "draft/eagle3/trainable_model.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"

namespace speculators::golden {

inline Eagle3Model eagle3_model(const Case& c, bool compat_upstream) {
  Eagle3Config config;
  const Json& fields = c.meta.at("algorithm_config");
  config.layer = layer_config(c);
  config.draft_vocab_size = c.get("w.lm_head.weight").size(0);
  config.aux_layer_ids = fields.at("eagle_aux_hidden_state_layer_ids").get<std::vector<int64_t>>();
  config.norm_before_residual = fields.at("norm_before_residual").get<bool>();
  config.norm_before_fc = fields.at("norm_before_fc").get<bool>();
  config.fc_norm = fields.at("fc_norm").get<bool>();
  config.norm_output = fields.at("norm_output").get<bool>();
  Eagle3TrainingOptions options;
  options.ttt_steps = c.meta.at("call").at("ttt_steps").get<int64_t>();
  options.ttt_step_loss_decay = c.meta.at("call").at("ttt_step_loss_decay").get<double>();
  options.loss = nn::parse_loss_spec(c.meta.at("call").at("loss_config").dump());
  options.compat_upstream = compat_upstream;
  const FrozenShape shape{config.layer.hidden_size, config.layer.vocab_size, config.draft_vocab_size};
  Eagle3Model model =
      make_eagle3_model(config, options, make_frozen_tensors(verifier_of(c), vocabulary_of(c), shape), /*seed=*/1);
  load_parameters(parameters_of(model), c.group("w."));
  return model;
}

}  // namespace speculators::golden
