#include "kernels/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace speculators {
namespace {

TEST(Isa, PlainLanesRunEverywhere) { EXPECT_EQ(list_usable_isas().front(), Isa::kPortable); }

TEST(Isa, TheOneInUseIsUsable) { EXPECT_THAT(list_usable_isas(), ::testing::Contains(current_isa())); }

TEST(Isa, NamesAreThoseOfTheEnvironmentVariable) {
  EXPECT_EQ(isa_name(Isa::kPortable), "portable");
  EXPECT_EQ(isa_name(Isa::kAvx2), "avx2");
  EXPECT_EQ(isa_name(Isa::kAvx512), "avx512");
}

}  // namespace
}  // namespace speculators
