#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "nn/pair_losses.h"
#include "nn/plain_ops.h"

namespace speculators::nn {

PairLosses pair_losses_plain(const DraftSide& draft, const torch::Tensor& verifier_states, const PairRows& pairs,
                             const FrozenHeads& heads, const LossSpec& spec, int64_t num_candidates) {
  const auto device = draft.states.device();
  torch::Tensor targets;
  {
    const at::NoGradGuard no_grad;
    const auto rows = verifier_states.index_select(0, index_tensor(pairs.targets, device));
    targets = at::linear(rms_norm_plain(rows, heads.verifier_norm, heads.verifier_norm_eps), heads.verifier_lm_head);
  }
  const auto rows = index_tensor(pairs.states, device);
  auto logits = at::linear(draft.states.index_select(0, rows), heads.lm_head);
  if (draft.has_bias()) logits = logits + at::linear(draft.factors.index_select(0, rows), draft.bias_weight);
  PairLosses losses;
  std::vector<torch::Tensor> terms;
  losses.value = at::zeros({logits.size(0)}, logits.options());
  for (const LossTerm& term : spec.terms) {
    const auto value = element_loss_plain(term.kind, logits, targets);
    losses.value = losses.value + term.weight * value;
    terms.push_back(value.detach());
  }
  if (terms.size() > 1) losses.terms = at::stack(terms);
  losses.match = logits.detach().argmax(-1) == targets.argmax(-1);
  losses.acceptance = 1.0 - element_loss_plain(LossKind::kTotalVariation, logits.detach(), targets);
  if (num_candidates > 0) losses.candidates = candidates_plain(logits, targets, num_candidates);
  return losses;
}

PairOutcome outcome_of(const PairLosses& losses) {
  const auto floats = [](const torch::Tensor& tensor) {
    const auto host = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
    return std::vector<float>(host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel());
  };
  PairOutcome outcome;
  outcome.value = floats(losses.value);
  for (int64_t k = 0; losses.terms.defined() && k < losses.terms.size(0); ++k)
    outcome.terms.push_back(floats(losses.terms[k]));
  const auto match = losses.match.to(torch::kCPU, torch::kUInt8).contiguous();
  if (losses.acceptance.defined()) outcome.acceptance = floats(losses.acceptance);
  outcome.match.assign(match.const_data_ptr<uint8_t>(), match.const_data_ptr<uint8_t>() + match.numel());
  return outcome;
}

torch::Tensor float_tensor(const std::vector<float>& values, torch::Device device) {
  auto result = at::empty({static_cast<int64_t>(values.size())}, torch::kFloat32);
  std::copy(values.begin(), values.end(), result.mutable_data_ptr<float>());
  return result.to(device);
}

torch::Tensor index_tensor(const std::vector<int64_t>& values, torch::Device device) {
  auto result = at::empty({static_cast<int64_t>(values.size())}, torch::kInt64);
  std::copy(values.begin(), values.end(), result.mutable_data_ptr<int64_t>());
  return result.to(device);
}

}  // namespace speculators::nn
