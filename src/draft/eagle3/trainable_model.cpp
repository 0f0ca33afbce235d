#include "draft/eagle3/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>

namespace speculators {

Eagle3Model make_eagle3_model(const Eagle3Config& config, const Eagle3TrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return {config, options, make_chain_network(config, std::move(frozen), options.compute_dtype, generator)};
}

void visit_parameters(Eagle3Model& model, const nn::ParameterVisitor& visit) { visit_parameters(model.network, visit); }

}  // namespace speculators
