#include "train/schedule.h"

#include <gmock/gmock.h>

#include <vector>

#include "base/errors.h"

namespace speculators {
namespace {

std::vector<double> factors(const Schedule& schedule) {
  std::vector<double> result;
  for (int64_t step = 0; step <= 10; ++step) result.push_back(schedule_factor(schedule, step));
  return result;
}

// Reference algorithms.md section 22: warm-up 2 of 10 steps.
TEST(Schedule, LinearRisesThenFallsToZero) {
  EXPECT_THAT(factors({.type = "linear", .warmup_steps = 2, .total_steps = 10}),
              testing::ElementsAre(0, .5, 1, .875, .75, .625, .5, .375, .25, .125, 0));
}

TEST(Schedule, CosineFallsByHalfAWave) {
  EXPECT_THAT(factors({.type = "cosine", .warmup_steps = 2, .total_steps = 10}),
              testing::Pointwise(testing::DoubleNear(1e-5),
                                 {0., .5, 1., .96194, .853553, .691342, .5, .308658, .146447, .03806, 0.}));
}

TEST(Schedule, NoneStaysConstant) {
  EXPECT_EQ(schedule_factor({.type = "none", .warmup_steps = 5, .total_steps = 10}, 0), 1);
  EXPECT_EQ(schedule_factor({.type = "none", .warmup_steps = 5, .total_steps = 10}, 99), 1);
}

TEST(Schedule, LinearStaysZeroBehindTheEnd) {
  EXPECT_EQ(schedule_factor({.type = "linear", .warmup_steps = 0, .total_steps = 4}, 9), 0);
}

TEST(Schedule, RejectsAnUnknownType) {
  EXPECT_THAT(([] { check_schedule({.type = "steps"}); }),
              testing::ThrowsMessage<UsageError>(testing::HasSubstr("linear, cosine or none, got 'steps'")));
}

}  // namespace
}  // namespace speculators
