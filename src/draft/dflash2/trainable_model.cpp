#include "draft/dflash2/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>

namespace speculators {

DFlash2Model make_dflash2_model(const DFlash2Config& config, const DFlash2TrainingOptions& options,
                                FrozenTensors frozen, uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  DFlash2Model model{config, options, make_block_model(config, options, std::move(frozen), generator)};
  const int64_t hidden = config.layer.hidden_size, vocab = config.layer.vocab_size, rank = config.selector_rank;
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    model.block.convolutions.push_back(
        make_layer_convolutions(hidden, config.conv_kernel_size, config.conv_group_size));
  }
  model.predecessor_codebook = nn::make_normal_parameter({vocab, rank}, generator);
  model.successor_codebook = nn::make_normal_parameter({vocab, rank}, generator);
  model.hidden_projection = nn::LinearGroup(hidden, {rank}, /*has_bias=*/false, generator);
  const at::NoGradGuard no_grad;
  for (torch::Tensor* weight :
       {&model.predecessor_codebook, &model.successor_codebook, &model.hidden_projection.weight(0)}) {
    weight->normal_(0.0, config.layer.initializer_range, generator);  // the nested config's width
  }
  return model;
}

void visit_parameters(DFlash2Model& model, const nn::ParameterVisitor& visit) {
  visit_parameters(model.block, visit);
  visit("candidate_selector.predecessor_codebook", model.predecessor_codebook);
  visit("candidate_selector.successor_codebook", model.successor_codebook);
  visit("candidate_selector.hidden_projection.weight", model.hidden_projection.weight(0));
}

}  // namespace speculators
