#include "draft/dspark/trainable_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>

#include <cmath>

namespace speculators {
namespace {

constexpr double kEmbeddingStd = 0.01;

// What torch gives a fresh linear layer, weight and bias alike: uniform(-1/sqrt(inputs), 1/sqrt(inputs)).
torch::Tensor uniform_parameter(at::IntArrayRef shape, int64_t num_inputs, at::Generator& generator) {
  const at::NoGradGuard no_grad;
  const double limit = 1.0 / std::sqrt(static_cast<double>(num_inputs));
  return at::empty(shape, torch::kFloat32).uniform_(-limit, limit, generator).requires_grad_(true);
}

void make_markov_head(DSparkModel& model, at::Generator& generator) {
  const DSparkConfig& config = model.config;
  const int64_t rank = config.markov_rank, hidden = config.layer.hidden_size;
  const at::NoGradGuard no_grad;
  model.markov_w1 = at::empty({config.layer.vocab_size, rank}, torch::kFloat32)
                        .normal_(0.0, kEmbeddingStd, generator)
                        .requires_grad_(true);
  model.markov_w2 = uniform_parameter({config.draft_vocab_size, rank}, rank, generator);
  if (config.markov_head_type == MarkovHeadType::kVanilla) return;
  const bool is_gated = config.markov_head_type == MarkovHeadType::kGated;
  const int64_t outputs = is_gated ? rank : 3 * rank, inputs = is_gated ? hidden + rank : 2 * rank + hidden;
  model.mix_weight = uniform_parameter({outputs, inputs}, inputs, generator);
  model.mix_bias = uniform_parameter({outputs}, inputs, generator);
}

}  // namespace

DSparkModel make_dspark_model(const DSparkConfig& config, const DSparkTrainingOptions& options, FrozenTensors frozen,
                              uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  DSparkModel model{config, options, make_block_model(config, options, std::move(frozen), generator)};
  if (config.has_markov_head()) make_markov_head(model, generator);
  if (!config.enable_confidence_head) return model;
  const int64_t inputs = config.num_confidence_inputs();
  model.confidence_weight = uniform_parameter({1, inputs}, inputs, generator);
  model.confidence_bias = uniform_parameter({1}, inputs, generator);
  return model;
}

void visit_parameters(DSparkModel& model, const nn::ParameterVisitor& visit) {
  visit_parameters(model.block, visit);
  if (model.config.has_markov_head()) {
    visit("markov_head.markov_w1.weight", model.markov_w1);
    visit("markov_head.markov_w2.weight", model.markov_w2);
  }
  if (model.mix_weight.defined()) {
    const std::string name = model.config.is_recurrent() ? "markov_head.joint_proj." : "markov_head.gate_proj.";
    visit(name + "weight", model.mix_weight);
    visit(name + "bias", model.mix_bias);
  }
  if (!model.config.enable_confidence_head) return;
  visit("confidence_head.proj.weight", model.confidence_weight);
  visit("confidence_head.proj.bias", model.confidence_bias);
}

}  // namespace speculators
