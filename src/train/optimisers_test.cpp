#include "train/optimisers.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "base/errors.h"
#include "train/golden_testing.h"

namespace speculators {
namespace {

using Tensors = std::map<std::string, torch::Tensor>;

NamedParameter make_parameter(const std::string& name, torch::Tensor value, torch::Tensor gradient) {
  value = value.detach().clone().requires_grad_();
  value.mutable_grad() = gradient.clone();
  return {name, value};
}

// All tensors "<prefix><name>" as parameters with zero gradients.
std::vector<NamedParameter> parameters_of(const Tensors& tensors, const std::string& prefix) {
  std::vector<NamedParameter> parameters;
  for (const auto& [name, value] : tensors) {
    if (name.starts_with(prefix)) {
      parameters.push_back(make_parameter(name.substr(prefix.size()), value, torch::zeros_like(value)));
    }
  }
  return parameters;
}

void set_gradients(const std::vector<NamedParameter>& parameters, const Tensors& tensors, const std::string& prefix) {
  for (const auto& parameter : parameters) parameter.value.mutable_grad() = tensors.at(prefix + parameter.name).clone();
}

double largest_difference(const torch::Tensor& left, const torch::Tensor& right) {
  return (left.detach() - right).abs().max().item<double>();
}

// Two parameters by hand: g = 1 in step 1 gives m = .1, v = .001, corrected 1 and 1: the step is lr/(1 + 1e-8).
TEST(AdamW, FirstStepMovesByTheRateAndDecays) {
  const auto parameter = make_parameter("norm.weight", torch::ones({2}), torch::tensor({1.f, -4.f}));
  auto optimisers = make_optimisers({parameter}, {.optimiser = "adamw", .lr = 0.1, .weight_decay = 0.01});
  optimisers[0]->step(1);
  // 1 * (1 - 0.1 * 0.01) -+ 0.1
  EXPECT_TRUE(torch::allclose(parameter.value, torch::tensor({0.899f, 1.099f}), 0, 1e-6));
}

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  const auto parameter = make_parameter("norm.weight", torch::ones({2}), torch::ones({2}));
  clear_gradients({parameter});
  auto optimisers = make_optimisers({parameter}, {.optimiser = "adamw", .lr = 0.1});
  optimisers[0]->step(1);
  EXPECT_TRUE(torch::equal(parameter.value.detach(), torch::ones({2})));
}

TEST(AdamW, MomentsAdvanceWhileTheRateIsZero) {
  const auto parameter = make_parameter("norm.weight", torch::ones({1}), torch::ones({1}));
  auto optimisers = make_optimisers({parameter}, {.optimiser = "adamw", .lr = 0.1});
  optimisers[0]->step(0);
  EXPECT_EQ(parameter.value.item<float>(), 1);
  EXPECT_NEAR(optimisers[0]->state()[0].value.item<float>(), 0.1, 1e-7);
}

TEST(OptimiserGroups, MuonTakesMatricesThatAreNoVocabulary) {
  const auto takes = [](const char* name, std::vector<int64_t> shape) {
    return is_muon_parameter({name, torch::zeros(shape)});
  };
  EXPECT_TRUE(takes("fc.weight", {4, 8}));
  EXPECT_TRUE(takes("refiner_head.token_embed.weight", {9, 4}));
  EXPECT_TRUE(takes("candidate_selector.hidden_projection.weight", {4, 8}));
  EXPECT_FALSE(takes("embed_tokens.weight", {9, 4}));
  EXPECT_FALSE(takes("markov_head.markov_w1.weight", {9, 4}));
  EXPECT_FALSE(takes("candidate_selector.successor_codebook", {9, 4}));
  EXPECT_FALSE(takes("confidence_head.proj.weight", {1, 4}));
  EXPECT_FALSE(takes("norm.weight", {4}));
  EXPECT_FALSE(takes("refiner_head.mix_l", {2, 3, 3}));
}

TEST(OptimiserGroups, RejectsAnUnknownOptimiser) {
  EXPECT_THAT(([] { make_optimisers({}, {.optimiser = "sgd"}); }),
              testing::ThrowsMessage<UsageError>(testing::HasSubstr("expected muon or adamw, got 'sgd'")));
}

// Reference algorithms.md section 22 (fp64 there).
TEST(Orthogonalise, EqualsTheReferenceMatrix) {
  const auto got = orthogonalise(torch::tensor({{1.f, 2.f, 3.f}, {4.f, 5.f, 7.f}}), 5, torch::kFloat32);
  const auto want = torch::tensor({{-0.659177f, 0.199667f, 0.552504f}, {0.558365f, 0.318451f, 0.344630f}});
  EXPECT_LT(largest_difference(got, want), 2e-4);
}

TEST(Orthogonalise, TallMatricesEqualTheTransposedWideOnes) {
  const auto wide = torch::tensor({{1.f, 2.f, 3.f}, {4.f, 5.f, 7.f}});
  EXPECT_TRUE(torch::equal(orthogonalise(wide.t(), 5, torch::kFloat32), orthogonalise(wide, 5, torch::kFloat32).t()));
}

// 4096 x 4096: 0.2 * sqrt(4096) = 12.8; a zero gradient orthogonalises to 0, so only the decay shows.
TEST(Muon, DecayUsesTheUnadjustedRate) {
  const auto parameter = make_parameter("fc.weight", torch::ones({2, 2}), torch::zeros({2, 2}));
  auto optimisers = make_optimisers({parameter}, {.muon_lr = 0.01, .muon_weight_decay = 0.1});
  optimisers[0]->step(1);
  EXPECT_NEAR(parameter.value[0][0].item<float>(), 1 - 0.01 * 0.1, 1e-7);
}

TEST(ClipGradients, ScalesToTheGivenCommonNorm) {
  const auto a = make_parameter("a", torch::zeros({1}), torch::tensor({3.f}));
  const auto b = make_parameter("b", torch::zeros({1}), torch::tensor({4.f}));
  EXPECT_NEAR(clip_gradients({a, b}, 1.0), 5, 1e-6);
  EXPECT_NEAR(a.value.grad().item<float>(), 0.6, 1e-6);
  EXPECT_NEAR(b.value.grad().item<float>(), 0.8, 1e-6);
}

TEST(ClipGradients, LeavesSmallGradientsAlone) {
  const auto a = make_parameter("a", torch::zeros({1}), torch::tensor({0.5f}));
  EXPECT_NEAR(clip_gradients({a}, 1.0), 0.5, 1e-7);
  EXPECT_EQ(a.value.grad().item<float>(), 0.5f);
}

TEST(ClipGradients, ReportsANonFiniteNorm) {
  const auto a = make_parameter("a", torch::zeros({1}), torch::tensor({NAN}));
  EXPECT_FALSE(std::isfinite(clip_gradients({a}, 1.0)));
}

const OptimiserOptions kGoldenOptions = {.lr = 1e-3, .weight_decay = 0.01, .muon_lr = 1e-2, .compat_upstream = true};
constexpr double kFactors[] = {0, 1, 0.8, 0.6};  // linear, warm-up 1 of 6

// From upstream's weights and buffers after step s-1 and its gradients of step s to those after step s (w0 is the
// start, since step 0 has rate 0).
TEST(OptimiserGolden, EachMuonStepEqualsUpstream) {
  const auto path = find_golden("opt_muon_trace");
  if (!path) GTEST_SKIP() << "no golden files (set SPECULATORS_SHARED)";
  const auto golden = read_golden(*path);
  const auto parameters = parameters_of(golden, "w0.");
  const auto optimisers = make_optimisers(parameters, kGoldenOptions);
  const auto buffer_name = [](const std::string& name) { return name.substr(std::strlen("muon.momentum.")); };
  for (int step = 0; step < 4; ++step) {
    const torch::NoGradGuard no_grad;
    const std::string now = std::to_string(step) + ".", before = std::to_string(std::max(0, step - 1)) + ".";
    for (const auto& parameter : parameters) parameter.value.copy_(golden.at("w" + before + parameter.name));
    for (const auto& buffer : optimisers[0]->state()) {
      if (step > 0) buffer.value.copy_(golden.at("m" + before + buffer_name(buffer.name)));
    }
    set_gradients(parameters, golden, "g" + now);
    for (const auto& optimiser : optimisers) optimiser->step(kFactors[step]);
    for (const auto& parameter : parameters) {
      EXPECT_LT(largest_difference(parameter.value, golden.at("w" + now + parameter.name)), 1e-5)
          << "step " << step << " " << parameter.name;
    }
    for (const auto& buffer : optimisers[0]->state()) {
      EXPECT_LT(largest_difference(buffer.value, golden.at("m" + now + buffer_name(buffer.name))), 1e-6)
          << "step " << step << " " << buffer.name;
    }
  }
}

// Reference algorithms.md section 22: the same clipped gradient twice, rates 0 and 0.01.
TEST(OptimiserGolden, TwoMuonStepsOnOneGradientEqualTheReference) {
  const auto path = find_golden("eagle3_llama");
  if (!path) GTEST_SKIP() << "no golden files (set SPECULATORS_SHARED)";
  const auto golden = read_golden(*path);
  std::vector<NamedParameter> parameters;
  for (const auto& [name, gradient] : golden) {
    if (name.starts_with("g."))
      parameters.push_back(make_parameter(name.substr(2), golden.at("w." + name.substr(2)), gradient));
  }
  EXPECT_NEAR(clip_gradients(parameters, 1.0), 11.362645, 1e-4);
  auto optimisers = make_optimisers(parameters, kGoldenOptions);
  optimisers[0]->step(0);
  optimisers[0]->step(1);
  for (const auto& [name, moved] : std::map<std::string, double>{{"layers.0.self_attn.q_proj.weight", .082895},
                                                                 {"layers.0.mlp.gate_proj.weight", .071636},
                                                                 {"layers.0.self_attn.k_proj.weight", .060083}}) {
    for (const auto& parameter : parameters) {
      if (parameter.name != name) continue;
      EXPECT_NEAR((parameter.value.detach() - golden.at("w." + name)).norm().item<double>(), moved, 1e-4) << name;
    }
  }
}

}  // namespace
}  // namespace speculators
