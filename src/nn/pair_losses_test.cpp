// The chunked vocabulary loss against its plain twin.
#include "nn/pair_losses.h"

#include <ATen/ops/ones.h>

#include "base/errors.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

constexpr int64_t kVocab = 51, kHidden = 12;

FrozenHeads heads() {
  const auto head = noise({kVocab, kHidden}, 40, 0.6);
  return {head, head, 1.0 + noise({kHidden}, 41, 0.2), 1e-5};
}

PairRows pairs() { return {{0, 3, 1, 4, 6, 2}, {5, 2, 5, 0, 2, 5}, {}, {}}; }

void expect_plain_result(const PairLossOptions& options, const PairRows& rows, const FrozenHeads& frozen) {
  const auto states = leaf({7, kHidden}, 1), verifier = noise({6, kHidden}, 2, 2.0);
  const PairLosses plain = pair_losses_plain(states, verifier, rows, frozen, options.spec);
  const auto expected = gradients(plain.value, {states});
  const PairLosses fused = pair_losses(states, verifier, rows, frozen, options);
  expect_close(fused.value, plain.value, 2e-6, "value");
  expect_close(gradients(fused.value, {states})[0], expected[0], 2e-5, "gradient");
  EXPECT_TRUE(fused.match.equal(plain.match));
  ASSERT_EQ(fused.terms.defined(), plain.terms.defined());
  if (plain.terms.defined()) expect_close(fused.terms, plain.terms, 2e-6, "terms");
}

class PairLossKinds : public testing::TestWithParam<const char*> {};

TEST_P(PairLossKinds, EqualThePlainOnesWithGradients) {
  expect_plain_result({parse_loss_spec(GetParam())}, pairs(), heads());
}

INSTANTIATE_TEST_SUITE_P(Specs, PairLossKinds,
                         testing::Values("kl_div", "rkl", "jsd", "ce", "tv", "nla", "lk_hybrid",
                                         R"({"ce": 0.1, "tv": 0.9})",
                                         R"({"kl_div": 0.3, "rkl": 0.2, "jsd": 0.4, "nla": 0.1})"));

TEST(PairLosses, AHeadOfItsOwnIsUsedForTheDraftOnly) {
  FrozenHeads frozen = heads();
  frozen.lm_head = noise({kVocab, kHidden}, 50, 0.6);
  expect_plain_result({}, pairs(), frozen);
}

TEST(PairLosses, SeveralChunksGiveTheSame) {
  const int64_t count = 300;
  PairRows rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.states.push_back(count - 1 - i);
    rows.targets.push_back((7 * i) % 90);
  }
  const auto states = leaf({count, kHidden}, 1), verifier = noise({90, kHidden}, 2, 2.0);
  const FrozenHeads frozen = heads();
  const PairLosses plain = pair_losses_plain(states, verifier, rows, frozen, {});
  const auto expected = gradients(plain.value, {states});
  PairLossOptions small;
  small.chunk_bytes = 1;  // the fewest rows: 64 at a time
  const PairLosses fused = pair_losses(states, verifier, rows, frozen, small);
  expect_close(fused.value, plain.value, 2e-6, "value");
  expect_close(gradients(fused.value, {states})[0], expected[0], 2e-5, "gradient");
}

// A bias of rank 3 under weights that differ by pair, in several chunks.
void expect_plain_sum(const LossSpec& spec, bool has_bias) {
  const int64_t count = 150;
  PairRows rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.states.push_back((i * 7) % count);
    rows.targets.push_back((5 * i) % 40);
    rows.weights.push_back(0.01f * static_cast<float>(i % 13));
  }
  const auto states = leaf({count, kHidden}, 1), factors = leaf({count, 3}, 3), weight = leaf({kVocab, 3}, 4);
  const auto verifier = noise({40, kHidden}, 2, 2.0);
  const DraftSide draft = has_bias ? DraftSide(states, factors, weight) : DraftSide(states);
  const std::vector<torch::Tensor> leaves = has_bias ? std::vector{states, factors, weight} : std::vector{states};
  const PairLosses plain = pair_losses_plain(draft, verifier, rows, heads(), spec);
  const auto total = (plain.value * float_tensor(rows.weights)).sum();
  const auto expected = gradients(total, leaves);
  PairLossOptions options{spec};
  options.chunk_bytes = 1;  // 64 rows at a time
  options.with_acceptance = true;
  const PairLossSum sum = pair_loss_sum(draft, verifier, rows, heads(), options);
  expect_close(sum.total, total, 2e-6, "total");
  expect_close(sum.pairs.acceptance, plain.acceptance, 2e-6, "acceptance");
  const auto found = gradients(sum.total, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) expect_close(found[i], expected[i], 2e-5, "gradient");
}

TEST(PairLossSum, EqualsThePlainOneWithABias) { expect_plain_sum(parse_loss_spec(R"({"ce": 0.1, "tv": 0.9})"), true); }
TEST(PairLossSum, EqualsThePlainOneWithABiasForACrossEntropy) { expect_plain_sum(parse_loss_spec("ce"), true); }
TEST(PairLossSum, EqualsThePlainOneWithoutABias) { expect_plain_sum(parse_loss_spec("kl_div"), false); }

TEST(PairLossSum, NeedsAWeightForEachPair) {
  EXPECT_THROW(pair_loss_sum(leaf({7, kHidden}, 1), noise({6, kHidden}, 2), pairs(), heads(), {}), ShapeError);
}

TEST(PairLosses, PairsThatWantNoGradientGiveNoneButAreCompared) {
  PairRows rows = pairs();
  rows.wants_gradient = {1, 0, 1, 1, 1, 1};
  const auto states = leaf({7, kHidden}, 1), verifier = noise({6, kHidden}, 2);
  const PairLosses losses = pair_losses(states, verifier, rows, heads(), {});
  EXPECT_GT(losses.value[1].item<float>(), 0.0f);
  losses.value.sum().backward();
  EXPECT_EQ(states.grad()[3].abs().max().item<float>(), 0.0f);
  EXPECT_GT(states.grad()[0].abs().max().item<float>(), 0.0f);
}

TEST(PairLosses, ADraftThatIsTheVerifierMatchesEverywhereAtNoLoss) {
  FrozenHeads frozen = heads();
  frozen.verifier_norm = at::ones({kHidden});
  const auto verifier = noise({6, kHidden}, 2);
  const auto normed = verifier / verifier.square().mean(1, true).add(1e-5).sqrt();
  const PairLosses losses = pair_losses(normed, verifier, {{0, 1, 2}, {0, 1, 2}, {}, {}}, frozen, {});
  EXPECT_TRUE(losses.match.all().item<bool>());
  EXPECT_LT(losses.value.abs().max().item<float>(), 1e-5f);
}

TEST(PairLosses, TheFirstMaximumCounts) {
  FrozenHeads frozen = heads();
  frozen.lm_head = frozen.lm_head.clone();
  frozen.lm_head[30] = frozen.lm_head[4];  // tokens 4 and 30 tie everywhere
  frozen.verifier_lm_head = frozen.lm_head;
  const auto state = frozen.lm_head[4].unsqueeze(0) * 100.0;
  frozen.lm_head = frozen.lm_head.clone();
  frozen.lm_head[30].mul_(0.5);  // the draft prefers 4; the verifier's tie must resolve to 4 as well
  EXPECT_TRUE(pair_losses(state, state, {{0}, {0}, {}, {}}, frozen, {}).match.all().item<bool>());
}

}  // namespace
}  // namespace speculators::nn
