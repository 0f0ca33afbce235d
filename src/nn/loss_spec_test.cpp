#include "nn/loss_spec.h"

#include <gmock/gmock.h>

#include "base/errors.h"

namespace speculators::nn {
namespace {

using testing::HasSubstr;

std::string error_of(const char* text) {
  try {
    parse_loss_spec(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(LossSpec, ABareNameHasWeightOne) {
  const LossSpec spec = parse_loss_spec("tv");
  ASSERT_EQ(spec.terms.size(), 1u);
  EXPECT_EQ(spec.terms[0].kind, LossKind::kTotalVariation);
  EXPECT_EQ(spec.terms[0].weight, 1.0);
}

TEST(LossSpec, AnObjectKeepsItsOrderAndWeights) {
  const LossSpec spec = parse_loss_spec(R"({"ce": 0.1, "tv": 0.9})");
  ASSERT_EQ(spec.terms.size(), 2u);
  EXPECT_EQ(spec.terms[0].kind, LossKind::kCrossEntropy);
  EXPECT_EQ(spec.terms[1].weight, 0.9);
}

TEST(LossSpec, EveryNameIsReadBack) {
  for (const char* name : {"kl_div", "rkl", "jsd", "ce", "tv", "nla", "lk_hybrid"}) {
    EXPECT_EQ(name_of(parse_loss_spec(name).terms[0].kind), name);
  }
}

TEST(LossSpec, OnlyCrossEntropyOfWeightOneIsCrossEntropyOnly) {
  EXPECT_TRUE(parse_loss_spec("ce").is_cross_entropy_only());
  EXPECT_FALSE(parse_loss_spec(R"({"ce": 0.5})").is_cross_entropy_only());
  EXPECT_FALSE(parse_loss_spec(R"({"ce": 1, "tv": 1})").is_cross_entropy_only());
  EXPECT_FALSE(parse_loss_spec("kl_div").is_cross_entropy_only());
}

TEST(LossSpec, AnUnknownNameGetsTheNearestOne) { EXPECT_THAT(error_of("kl_dv"), HasSubstr("did you mean kl_div")); }
TEST(LossSpec, AWeightMustBeANumber) { EXPECT_THAT(error_of(R"({"ce": "much"})"), HasSubstr("ce: expected a number")); }
TEST(LossSpec, BrokenJsonIsAUsageError) { EXPECT_THAT(error_of(R"({"ce": )"), HasSubstr("--loss-fn")); }
TEST(LossSpec, AnEmptyObjectIsAUsageError) { EXPECT_THAT(error_of("{}"), HasSubstr("at least one loss")); }

}  // namespace
}  // namespace speculators::nn
