#include "nn/plain_ops.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/errors.h"

namespace speculators::nn {
namespace {

constexpr double kSmallestOverlap = 1e-5;

torch::Tensor kl(const torch::Tensor& p, const torch::Tensor& log_p, const torch::Tensor& log_q) {
  return (p * (log_p - log_q)).sum(-1);
}

torch::Tensor jsd(const torch::Tensor& log_p, const torch::Tensor& log_q) {
  const auto log_m = at::logaddexp(log_p, log_q) - std::log(2.0);
  return 0.5 * (kl(log_p.exp(), log_p, log_m) + kl(log_q.exp(), log_q, log_m));
}

}  // namespace

torch::Tensor rms_norm_plain(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  const auto wide = x.to(torch::kFloat32);
  return wide * at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps) * weight;
}

torch::Tensor rope_plain(const torch::Tensor& x, const torch::Tensor& cosines, const torch::Tensor& sines) {
  const auto halves = x.chunk(2, -1);
  const auto c = cosines.unsqueeze(1), s = sines.unsqueeze(1);  // [R, 1, H/2]
  return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1);
}

torch::Tensor attention_plain(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                              const torch::Tensor& visible) {
  const int64_t group = q.size(1) / k.size(1);
  const auto keys = k.repeat_interleave(group, 1).permute({1, 2, 0});    // [N, H, C]
  const auto values = v.repeat_interleave(group, 1).permute({1, 0, 2});  // [N, C, H]
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(2)));
  const auto scores = at::matmul(q.permute({1, 0, 2}), keys) * scale;  // [N, R, C]
  const auto hidden = scores.masked_fill(visible.logical_not(), -std::numeric_limits<float>::infinity());
  const auto sees_any = visible.any(-1).view({1, -1, 1});
  const auto safe = at::where(sees_any, hidden, at::zeros_like(hidden));
  const auto weights = at::softmax(safe, -1) * sees_any;
  return at::matmul(weights, values).permute({1, 0, 2}).flatten(1);  // [R, N*H]
}

torch::Tensor activation_plain(const std::string& name, const torch::Tensor& x) {
  if (name == "silu") return at::silu(x);
  if (name == "gelu") return at::gelu(x);
  if (name == "gelu_pytorch_tanh") return at::gelu(x, "tanh");
  if (name == "relu") return at::relu(x);
  throw UsageError(fmt::format("hidden_act: expected silu, gelu, gelu_pytorch_tanh or relu, found '{}'", name));
}

torch::Tensor linear_plain(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                           torch::ScalarType compute_dtype) {
  const auto narrow_bias = bias.defined() ? bias.to(compute_dtype) : torch::Tensor();
  return at::linear(x.to(compute_dtype), weight.to(compute_dtype), narrow_bias).to(torch::kFloat32);
}

torch::Tensor element_loss_plain(LossKind kind, const torch::Tensor& logits, const torch::Tensor& target_logits) {
  const auto log_q = at::log_softmax(logits, -1);
  const auto log_p = at::log_softmax(target_logits.detach(), -1);
  const auto p = log_p.exp();
  const auto overlap = [&] { return at::minimum(p, log_q.exp()).sum(-1); };
  switch (kind) {
    case LossKind::kKlDiv:
      return kl(p, log_p, log_q);
    case LossKind::kReverseKl:
      return kl(log_q.exp(), log_q, log_p);
    case LossKind::kJsd:
      return jsd(log_p, log_q);
    case LossKind::kCrossEntropy:
      return -log_q.gather(-1, target_logits.argmax(-1, /*keepdim=*/true)).squeeze(-1);
    case LossKind::kTotalVariation:
      return 1.0 - overlap();
    case LossKind::kNegLogAcceptance:
      return -overlap().clamp_min(kSmallestOverlap).log();
    case LossKind::kLkHybrid: {
      const auto shared = overlap();
      const auto mix = (-3.0 * shared).exp().detach();
      return mix * kl(p, log_p, log_q) + (1.0 - mix) * (1.0 - shared);
    }
  }
  throw UsageError("unknown element loss");
}

}  // namespace speculators::nn
