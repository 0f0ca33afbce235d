// Four updates of an EAGLE-3 draft from upstream's weights and batch, forward pass to optimiser, against upstream's
// weights after them. Clipped to 1, linear schedule with 1 warm-up step of 6.
#include "draft/eagle3/golden_model_for_test.h"
#include "train/golden_testing.h"
#include "train/optimisers.h"
#include "train/schedule.h"

namespace speculators {
namespace {

struct Trajectory {
  const char* optimiser;
  double tolerance;  // upstream's Newton-Schulz runs in bf16, which amplifies roundings: algorithms.md 22
};
void PrintTo(const Trajectory& trajectory, std::ostream* out) { *out << trajectory.optimiser; }

class OptimiserTrajectory : public testing::TestWithParam<Trajectory> {};
INSTANTIATE_TEST_SUITE_P(Kind, OptimiserTrajectory,
                         testing::Values(Trajectory{"adamw", 1e-5}, Trajectory{"muon", 2e-3}));

TEST_P(OptimiserTrajectory, FourUpdatesEqualUpstream) {
  const auto path = find_golden(std::string("opt_") + GetParam().optimiser + "_after4");
  if (!path) GTEST_SKIP() << "no golden files (set SPECULATORS_SHARED)";
  const auto c = golden::read_case(golden::shared_folder(), "eagle3_llama");
  Eagle3Model model = golden::eagle3_model(c, /*compat_upstream=*/true);
  const auto parameters = parameters_of(model);
  const auto optimisers = make_optimisers(
      parameters, {.optimiser = GetParam().optimiser, .lr = 1e-3, .muon_lr = 1e-2, .compat_upstream = true});
  const Schedule schedule{.type = "linear", .warmup_steps = 1, .total_steps = 6};
  for (int64_t step = 0; step < 4; ++step) {
    clear_gradients(parameters);
    eagle3_forward(model, golden::batch_of(c)).loss.backward();
    clip_gradients(parameters, 1.0);
    for (const auto& optimiser : optimisers) optimiser->step(schedule_factor(schedule, step));
  }
  const auto expected = read_golden(*path);
  ASSERT_EQ(expected.size(), parameters.size());
  for (const NamedParameter& parameter : parameters) {
    const double difference = (parameter.value.detach() - expected.at(parameter.name)).abs().max().item<double>();
    EXPECT_LT(difference, GetParam().tolerance) << parameter.name;
    const double moved = (c.get("w." + parameter.name) - expected.at(parameter.name)).abs().max().item<double>();
    EXPECT_GT(moved, 1e-3) << parameter.name;  // the comparison is of something
  }
}

}  // namespace
}  // namespace speculators
