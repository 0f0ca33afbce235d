#include "draft/dspark/trainable_heads.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include "nn/pair_losses.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

torch::Tensor mix(const DSparkModel& model, const torch::Tensor& x) {
  return nn::linear_plain(x, model.mix_weight, model.mix_bias, model.options.compute_dtype);
}

torch::Tensor gated_factors(const DSparkModel& model, const torch::Tensor& states, const torch::Tensor& embeddings) {
  return at::sigmoid(mix(model, at::cat({states, embeddings}, 1))) * embeddings;
}

// The rows of slots with offset k, and where the block of each lay among the rows of offset k - 1.
struct Step {
  std::vector<int64_t> rows, predecessors;
};

std::vector<Step> steps_of(const std::vector<int64_t>& slots, int64_t block_size) {
  std::vector<Step> steps(block_size);
  for (size_t row = 0; row < slots.size(); ++row) {
    const int64_t offset = slots[row] % block_size;
    // Its predecessor is the row before, which was the last one to join the step before.
    if (offset > 0) steps[offset].predecessors.push_back(static_cast<int64_t>(steps[offset - 1].rows.size()) - 1);
    steps[offset].rows.push_back(static_cast<int64_t>(row));
  }
  return steps;
}

// All blocks take a step together. The part of the product that does not hang on the state is computed beforehand, for
// every slot at once.
torch::Tensor recurrent_factors(const DSparkModel& model, const torch::Tensor& states, const torch::Tensor& embeddings,
                                const std::vector<int64_t>& slots) {
  const int64_t rank = model.config.markov_rank, num_inputs = model.mix_weight.size(1);
  const auto of_state = model.mix_weight.narrow(1, 0, rank),
             of_slot = model.mix_weight.narrow(1, rank, num_inputs - rank);
  const auto dtype = model.options.compute_dtype;
  const auto fixed = nn::linear_plain(at::cat({embeddings, states}, 1), of_slot, model.mix_bias, dtype);  // [Q, 3r]
  torch::Tensor state;
  std::vector<torch::Tensor> outputs;
  std::vector<int64_t> place(slots.size());  // of each row among the outputs
  int64_t num_done = 0;
  for (const Step& step : steps_of(slots, model.config.block_size)) {
    if (step.rows.empty()) break;
    auto mixed = fixed.index_select(0, nn::index_tensor(step.rows));
    if (state.defined()) {
      state = state.index_select(0, nn::index_tensor(step.predecessors));
      mixed = mixed + nn::linear_plain(state, of_state, {}, dtype);
    }
    const auto parts = mixed.chunk(3, 1);  // gate, candidate, output
    const auto gate = at::sigmoid(parts[0]);
    const auto entering = (1.0 - gate) * at::tanh(parts[1]);
    state = state.defined() ? gate * state + entering : entering;
    outputs.push_back(at::tanh(parts[2]));
    for (const int64_t row : step.rows) place[row] = num_done++;
  }
  return at::cat(outputs).index_select(0, nn::index_tensor(place));
}

}  // namespace

torch::Tensor markov_factors(const DSparkModel& model, const torch::Tensor& states, const torch::Tensor& embeddings,
                             const std::vector<int64_t>& slots) {
  switch (model.config.markov_head_type) {
    case MarkovHeadType::kVanilla:
      return embeddings;
    case MarkovHeadType::kGated:
      return gated_factors(model, states, embeddings);
    case MarkovHeadType::kRnn:
      return recurrent_factors(model, states, embeddings, slots);
  }
  return embeddings;
}

torch::Tensor markov_factors_plain(const DSparkModel& model, const torch::Tensor& states,
                                   const torch::Tensor& embeddings) {
  if (!model.config.is_recurrent()) return markov_factors(model, states, embeddings, {});
  const int64_t block_size = model.config.block_size, rank = model.config.markov_rank;
  const auto h = states.unflatten(0, {-1, block_size}), w = embeddings.unflatten(0, {-1, block_size});
  auto state = at::zeros({h.size(0), rank}, h.options());
  std::vector<torch::Tensor> outputs;
  for (int64_t k = 0; k < block_size; ++k) {
    const auto parts = mix(model, at::cat({state, w.select(1, k), h.select(1, k)}, 1)).chunk(3, 1);
    const auto gate = at::sigmoid(parts[0]);
    state = gate * state + (1.0 - gate) * at::tanh(parts[1]);
    outputs.push_back(at::tanh(parts[2]));
  }
  return at::stack(outputs, 1).flatten(0, 1);
}

torch::Tensor confidence_logits(const DSparkModel& model, const torch::Tensor& states,
                                const torch::Tensor& embeddings) {
  const auto inputs = model.config.confidence_head_with_markov ? at::cat({states, embeddings}, 1) : states;
  return nn::linear_plain(inputs, model.confidence_weight, model.confidence_bias, model.options.compute_dtype)
      .squeeze(1);
}

}  // namespace speculators
