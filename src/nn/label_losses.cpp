#include "nn/label_losses.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <fmt/format.h>

#include <algorithm>

#include "nn/autograd_node.h"
#include "nn/kernels/row_kernels.h"
#include "nn/linear_use.h"
#include "nn/loss_spec.h"
#include "nn/pair_losses.h"

namespace speculators::nn {
namespace {

using torch::autograd::variable_list;

constexpr int64_t kFewestRows = 64;

void check_labels(const torch::Tensor& states, const std::vector<int64_t>& labels, const torch::Tensor& lm_head) {
  const auto count = static_cast<int64_t>(labels.size());
  if (states.dim() != 2 || states.size(0) != count || states.size(1) != lm_head.size(1)) {
    throw ShapeError(fmt::format("label_losses: states: expected [{}, {}], found [{}]", count, lm_head.size(1),
                                 fmt::join(states.sizes().vec(), ", ")));
  }
  for (const int64_t label : labels) {
    if (label >= 0 && label < lm_head.size(0)) continue;
    throw ShapeError(fmt::format("label_losses: expected labels in [0, {}), found {}", lm_head.size(0), label));
  }
}

// Upstream [P] scales each row's saved d value / d state.
struct LabelLossBackward : BackwardNode {
  torch::Tensor gradients;  // [P, D]

  variable_list backward(const torch::Tensor& upstream) override { return {gradients.mul_(upstream.unsqueeze(1))}; }
};

LossWeights cross_entropy_alone() {
  LossWeights weights;
  weights.weight[static_cast<int>(LossKind::kCrossEntropy)] = 1;
  weights.wanted[static_cast<int>(LossKind::kCrossEntropy)] = true;
  return weights;
}

// One chunk: rows [begin, begin + logits.size(0)). `logits` become their gradient where one is wanted.
void run_chunk(torch::Tensor& logits, const int64_t* labels, bool wants_gradient, float* values, uint8_t* match) {
  const int64_t count = logits.size(0);
  std::vector<TargetRow> targets(count);
  std::vector<const TargetRow*> target_of(count);
  for (int64_t i = 0; i < count; ++i) {
    targets[i].argmax = labels[i];
    target_of[i] = &targets[i];
  }
  const std::vector<uint8_t> wants(count, wants_gradient);
  std::vector<DraftRow> results(count);
  row_kernels().draft_rows(logits.mutable_data_ptr<float>(), count, logits.size(1), target_of.data(), wants.data(),
                           cross_entropy_alone(), results.data());
  for (int64_t i = 0; i < count; ++i) {
    values[i] = results[i].total;
    match[i] = results[i].argmax == labels[i];
  }
}

}  // namespace

LabelLosses label_losses(const torch::Tensor& states, const std::vector<int64_t>& labels, const torch::Tensor& lm_head,
                         const LabelLossOptions& options) {
  check_labels(states, labels, lm_head);
  const bool wants_gradient = any_requires_grad({states});
  const auto count = static_cast<int64_t>(labels.size());
  const int64_t vocab = lm_head.size(0);
  LabelLosses losses;
  losses.match.resize(count);
  torch::Tensor gradients;
  {
    const at::NoGradGuard no_grad;
    const auto rows = states.detach();
    const int64_t most = options.chunk_bytes / (vocab * static_cast<int64_t>(sizeof(float)));
    const int64_t chunk = std::max<int64_t>(1, std::min(count, std::max(kFewestRows, most)));
    auto buffer = at::empty({chunk, vocab}, lm_head.options());
    losses.host_values.resize(count);
    if (wants_gradient) gradients = at::empty(states.sizes(), rows.options());
    for (int64_t begin = 0; begin < count; begin += chunk) {
      const int64_t size = std::min(chunk, count - begin);
      auto logits = buffer.narrow(0, 0, size);
      multiply_transposed(rows.narrow(0, begin, size), lm_head, options.compute_dtype, logits);
      run_chunk(logits, labels.data() + begin, wants_gradient, losses.host_values.data() + begin,
                losses.match.data() + begin);
      if (!wants_gradient) continue;
      auto d_states = gradients.narrow(0, begin, size);
      multiply(logits, lm_head, options.compute_dtype, d_states);
    }
    losses.value = float_tensor(losses.host_values);
  }
  if (!wants_gradient) return losses;
  auto node = c10::make_intrusive<LabelLossBackward>();
  node->gradients = gradients;
  attach_node(node, {states}, losses.value);
  return losses;
}

LabelLosses label_losses_plain(const torch::Tensor& states, const std::vector<int64_t>& labels,
                               const torch::Tensor& lm_head) {
  check_labels(states, labels, lm_head);
  const auto ids = index_tensor(labels, states.device());
  const auto logits = at::linear(states, lm_head);
  LabelLosses losses;
  losses.value = logits.log_softmax(-1).gather(1, ids.unsqueeze(1)).squeeze(1).neg();
  const auto match = (logits.detach().argmax(-1) == ids).to(torch::kCPU, torch::kUInt8).contiguous();
  const auto values = losses.value.detach().to(torch::kCPU).contiguous();
  losses.host_values.assign(values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
  losses.match.assign(match.const_data_ptr<uint8_t>(), match.const_data_ptr<uint8_t>() + match.numel());
  return losses;
}

}  // namespace speculators::nn
