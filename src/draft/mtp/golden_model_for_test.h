// For tests: an MTP head and batch with the values of a golden case.
#pragma once

#include "draft/mtp/trainable_model.h"
#include "draft/mtp/weights.h"
#include "draft/training/golden_test_support.h"
#include "draft/training/parameters.h"

namespace speculators::golden {

inline MtpModel mtp_model(const Case& c, bool compat_upstream) {
  const auto& embedding = c.get("w.embed_tokens.weight");
  MtpConfig config;
  config.verifier = layer_config(c, kMtpLayer);
  MtpTrainingOptions options;
  options.num_steps = static_cast<int64_t>(c.meta.at("call").at("step_weights").size());
  options.step_weight_beta = c.meta.value("step_weight_beta", 0.6);
  options.compat_upstream = compat_upstream;
  const VerifierTensors verifier{embedding, c.get("w.lm_head.weight"), embedding.new_ones({embedding.size(1)})};
  const FrozenShape shape{config.verifier.hidden_size, config.verifier.vocab_size, config.verifier.vocab_size};
  MtpModel model = make_mtp_model(config, options, make_frozen_tensors(verifier, std::nullopt, shape), /*seed=*/1);
  load_parameters(parameters_of(model), c.group("w."));
  return model;
}

// Upstream hands the last hidden states over as "hidden_states".
inline TrainBatch mtp_batch_of(const Case& c) {
  TrainBatch batch;
  batch.input_ids = c.get("b.input_ids").squeeze(0);
  batch.last_hidden_states = c.get("b.hidden_states").squeeze(0);
  batch.aux_hidden_states = batch.last_hidden_states.narrow(1, 0, 0);
  batch.loss_mask = c.get("b.loss_mask").squeeze(0).ne(0);
  batch.position_ids = c.get("b.position_ids").squeeze(0);
  batch.document_ids = c.get("b.document_ids").squeeze(0);
  return batch;
}

}  // namespace speculators::golden
