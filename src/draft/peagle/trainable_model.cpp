#include "draft/peagle/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>

namespace speculators {

PEagleModel make_peagle_model(const PEagleConfig& config, const PEagleTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  PEagleModel model{config, options, make_chain_network(config, std::move(frozen), options.compute_dtype, generator)};
  const at::NoGradGuard no_grad;
  model.mask_hidden = at::empty({1, 1, config.aux_width()}, torch::kFloat32).normal_(0.0, 1.0, generator);
  model.mask_hidden.requires_grad_(true);
  model.embed_tokens = model.network.frozen.embed_tokens;
  // A copy: the verifier's head may be the same tensor.
  if (config.embed_requires_grad) model.embed_tokens = model.embed_tokens.clone().requires_grad_(true);
  return model;
}

void visit_parameters(PEagleModel& model, const nn::ParameterVisitor& visit) {
  if (model.config.embed_requires_grad) visit("embed_tokens.weight", model.embed_tokens);
  visit_parameters(model.network, visit);
  visit("mask_hidden", model.mask_hidden);
}

}  // namespace speculators
