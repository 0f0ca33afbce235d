#include "train/optimisers.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"

namespace speculators {
namespace {

class AdamW final : public Optimiser {
 public:
  AdamW(std::vector<NamedParameter> parameters, double lr, double weight_decay)
      : parameters_(std::move(parameters)), lr_(lr), weight_decay_(weight_decay) {
    for (const auto& parameter : parameters_) {
      first_moments_.push_back(torch::zeros_like(parameter.value));
      second_moments_.push_back(torch::zeros_like(parameter.value));
    }
  }

  std::string name() const override { return "AdamW"; }
  double base_lr() const override { return lr_; }
  int64_t num_steps() const override { return num_steps_; }
  void set_num_steps(int64_t num_steps) override { num_steps_ = num_steps; }

  void step(double factor) override {
    const torch::NoGradGuard no_grad;
    ++num_steps_;
    std::vector<torch::Tensor> values, gradients, first, second;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto& value = parameters_[i].value;
      if (!value.grad().defined()) continue;
      values.push_back(value);
      gradients.push_back(value.grad());
      first.push_back(first_moments_[i]);
      second.push_back(second_moments_[i]);
    }
    if (values.empty()) return;
    const auto count = torch::full({}, static_cast<double>(num_steps_), values[0].options().dtype(torch::kFloat32));
    const std::vector<torch::Tensor> counts(values.size(), count);
    at::_fused_adamw_(values, gradients, first, second, /*max_exp_avg_sqs=*/{}, counts, lr_ * factor, /*beta1=*/0.9,
                      /*beta2=*/0.999, weight_decay_, /*eps=*/1e-8, /*amsgrad=*/false, /*maximize=*/false);
  }

  std::vector<NamedParameter> state() override {
    std::vector<NamedParameter> tensors;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      tensors.push_back({"adamw.first_moment." + parameters_[i].name, first_moments_[i]});
      tensors.push_back({"adamw.second_moment." + parameters_[i].name, second_moments_[i]});
    }
    return tensors;
  }

 private:
  std::vector<NamedParameter> parameters_;
  std::vector<torch::Tensor> first_moments_, second_moments_;
  double lr_, weight_decay_;
  int64_t num_steps_ = 0;
};

class Muon final : public Optimiser {
 public:
  Muon(std::vector<NamedParameter> parameters, OptimiserOptions options)
      : parameters_(std::move(parameters)), options_(std::move(options)) {
    for (const auto& parameter : parameters_) momenta_.push_back(torch::zeros_like(parameter.value));
  }

  std::string name() const override { return "Muon"; }
  double base_lr() const override { return options_.muon_lr; }
  int64_t num_steps() const override { return num_steps_; }
  void set_num_steps(int64_t num_steps) override { num_steps_ = num_steps; }

  void step(double factor) override {
    const torch::NoGradGuard no_grad;
    ++num_steps_;
    const double lr = options_.muon_lr * factor;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto& value = parameters_[i].value;
      if (!value.grad().defined()) continue;
      momenta_[i].lerp_(value.grad(), 1 - options_.muon_momentum);
      if (lr == 0) continue;                                                       // the momentum advances all the same
      const auto update = value.grad().lerp(momenta_[i], options_.muon_momentum);  // Nesterov
      const bool in_bf16 = options_.compat_upstream || value.is_cuda();
      const auto direction =
          orthogonalise(update, options_.muon_ns_steps, in_bf16 ? torch::kBFloat16 : torch::kFloat32);
      value.mul_(1 - lr * options_.muon_weight_decay);  // the decay knows nothing of the adjusted rate
      value.add_(direction, -lr * rate_adjustment(value));
    }
  }

  std::vector<NamedParameter> state() override {
    std::vector<NamedParameter> tensors;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      tensors.push_back({"muon.momentum." + parameters_[i].name, momenta_[i]});
    }
    return tensors;
  }

 private:
  double rate_adjustment(const torch::Tensor& value) const {
    const auto rows = static_cast<double>(value.size(0)), cols = static_cast<double>(value.size(1));
    if (options_.muon_adjust_lr_fn == "original") return std::sqrt(std::max(1.0, rows / cols));
    return 0.2 * std::sqrt(std::max(rows, cols));
  }

  std::vector<NamedParameter> parameters_;
  std::vector<torch::Tensor> momenta_;
  OptimiserOptions options_;
  int64_t num_steps_ = 0;
};

void check_options(const OptimiserOptions& options) {
  if (options.optimiser != "muon" && options.optimiser != "adamw") {
    throw UsageError(fmt::format("--optimizer: expected muon or adamw, got '{}'", options.optimiser));
  }
  if (options.muon_adjust_lr_fn != "match_rms_adamw" && options.muon_adjust_lr_fn != "original") {
    throw UsageError(
        fmt::format("--muon-adjust-lr-fn: expected match_rms_adamw or original, got '{}'", options.muon_adjust_lr_fn));
  }
  if (!(options.lr >= 0) || !(options.muon_lr >= 0)) {
    throw UsageError(fmt::format("--lr, --muon-lr: expected at least 0, got {} and {}", options.lr, options.muon_lr));
  }
}

}  // namespace

bool is_muon_parameter(const NamedParameter& parameter) {
  const auto& value = parameter.value;
  if (value.dim() != 2 || value.size(0) <= 1 || value.size(1) <= 1) return false;
  for (const char* part : {"embed_tokens", "lm_head", "codebook", "markov_w1", "markov_w2"}) {
    if (parameter.name.find(part) != std::string::npos) return false;
  }
  return true;
}

// Three products per step. In bf16 each is one fused multiply-add with one rounding; rounding products and sums apart
// would move the step of a rank-deficient gradient by up to 20 %.
torch::Tensor orthogonalise(const torch::Tensor& update, int64_t num_steps, torch::Dtype dtype) {
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
  const bool tall = update.size(0) > update.size(1);
  auto x = (tall ? update.t() : update).to(dtype).contiguous();
  x = x / x.norm().clamp_min(1e-7);
  for (int64_t step = 0; step < num_steps; ++step) {
    const auto gram = x.mm(x.t());                           // [m, m]
    const auto polynomial = gram.addmm(gram, gram, kB, kC);  // b Y + c Y^2
    x = x.addmm(polynomial, x, kA, 1);                       // a X + Z X
  }
  return (tall ? x.t() : x).to(torch::kFloat32);
}

Optimisers make_optimisers(const std::vector<NamedParameter>& parameters, const OptimiserOptions& options) {
  check_options(options);
  std::vector<NamedParameter> matrices, others;
  for (const auto& parameter : parameters) {
    const bool muon = options.optimiser == "muon" && is_muon_parameter(parameter);
    (muon ? matrices : others).push_back(parameter);
  }
  Optimisers optimisers;
  if (!matrices.empty()) optimisers.push_back(std::make_unique<Muon>(std::move(matrices), options));
  if (!others.empty())
    optimisers.push_back(std::make_unique<AdamW>(std::move(others), options.lr, options.weight_decay));
  return optimisers;
}

double clip_gradients(const std::vector<NamedParameter>& parameters, double max_norm) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients;
  for (const auto& parameter : parameters) {
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  }
  if (gradients.empty()) return 0;
  const double norm = torch::stack(at::_foreach_norm(gradients, 2)).norm().item<double>();
  const double factor = max_norm / (norm + 1e-6);
  if (max_norm > 0 && factor < 1) at::_foreach_mul_(gradients, factor);
  return norm;
}

void clear_gradients(const std::vector<NamedParameter>& parameters) {
  for (const auto& parameter : parameters) parameter.value.mutable_grad() = torch::Tensor();
}

}  // namespace speculators
