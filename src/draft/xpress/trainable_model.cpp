#include "draft/xpress/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace speculators {
namespace {

constexpr double kRefinerStd = 0.02;

torch::Tensor normal_parameter(int64_t rows, int64_t columns, at::Generator& generator) {
  const at::NoGradGuard no_grad;
  return at::empty({rows, columns}, torch::kFloat32).normal_(0.0, kRefinerStd, generator).requires_grad_(true);
}

}  // namespace

XPressModel make_xpress_model(const XPressConfig& config, const XPressTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  XPressModel model{config, options, make_block_model(config, options, std::move(frozen), generator)};
  const int64_t rank = config.xpress_rank, hidden = config.layer.hidden_size, width = config.mlp_width();
  model.token_embed = normal_parameter(config.layer.vocab_size, rank, generator);
  model.down_h = normal_parameter(rank, hidden, generator);
  model.down_g = normal_parameter(rank, hidden, generator);
  model.in_proj = normal_parameter(rank, 3 * rank, generator);
  model.mix_l = at::zeros({rank, config.block_size, config.block_size}, torch::kFloat32).requires_grad_(true);
  model.mlp_gate = normal_parameter(width, rank, generator);
  model.mlp_up = normal_parameter(width, rank, generator);
  model.mlp_down = normal_parameter(rank, width, generator);
  model.readout = normal_parameter(config.draft_vocab_size, rank, generator);
  return model;
}

void visit_parameters(XPressModel& model, const nn::ParameterVisitor& visit) {
  visit_parameters(model.block, visit);
  visit("refiner_head.token_embed.weight", model.token_embed);
  visit("refiner_head.down_h.weight", model.down_h);
  visit("refiner_head.down_g.weight", model.down_g);
  visit("refiner_head.in_proj.weight", model.in_proj);
  visit("refiner_head.mix_l", model.mix_l);
  visit("refiner_head.mlp_gate.weight", model.mlp_gate);
  visit("refiner_head.mlp_up.weight", model.mlp_up);
  visit("refiner_head.mlp_down.weight", model.mlp_down);
  visit("refiner_head.readout.weight", model.readout);
}

}  // namespace speculators
