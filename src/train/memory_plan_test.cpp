#include "train/memory_plan.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace speculators {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(MemoryPlan, CountsBytesOfEachPart) {
  const auto items = plan_memory(
      {.parameters = 10, .optimiser_values = 20, .row_values = 100, .bytes_per_row_value = 2, .rows_in_flight = 3});
  EXPECT_EQ(items[0].bytes, 80);   // weights and gradients, fp32
  EXPECT_EQ(items[1].bytes, 80);   // moments, fp32
  EXPECT_EQ(items[3].bytes, 600);  // 3 rows of 100 bf16 values
}

TEST(MemoryPlan, LogitsExistForAChunkOfRowsOnly) {
  const auto few = plan_memory({.query_rows = 10, .vocab_size = 100}),
             many = plan_memory({.query_rows = 1 << 20, .vocab_size = 100});
  EXPECT_EQ(few[5].bytes, 10 * 100 * 12);
  EXPECT_EQ(many[5].bytes, 1024 * 100 * 12);
}

TEST(MemoryPlan, RefusesWhatDoesNotFitAndSaysWhy) {
  EXPECT_THAT(
      ([] {
        check_memory({{"packed rows", 3 << 20}, {"logits", 2 << 20}}, 4 << 20);
      }),
      ThrowsMessage<UsageError>(AllOf(HasSubstr("needs about 5 MiB, 4 MiB are free"), HasSubstr("packed rows 3 MiB"))));
}

TEST(MemoryPlan, AcceptsWhatFits) { EXPECT_NO_THROW(check_memory({{"logits", 2 << 20}}, 4 << 20)); }

TEST(AvailableMemory, IsMoreThanNothing) { EXPECT_GT(available_memory_bytes(), 0); }

}  // namespace
}  // namespace speculators
