#include "nn/pair_candidates.h"

#include <ATen/ops/log_softmax.h>

#include "nn/pair_losses.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

// reference algorithms.md 22: six tokens, three candidates, one slot whose verifier's choice is among the three largest
// logits and one where it takes the place of the last.
TEST(PairCandidates, GiveTheNumbersOfTheReference) {
  std::vector<float> logits, targets(12, 0.0f), predecessors, successors;
  for (int slot = 0; slot < 2; ++slot) {
    for (int i = 0; i < 6; ++i) logits.push_back(static_cast<float>(i));
  }
  targets[4] = targets[6 + 0] = 1;
  for (int i = 0; i < 6; ++i) {
    successors.push_back(0.3f - 0.1f * static_cast<float>(i));
    successors.push_back(0.05f * static_cast<float>(i));
  }
  const auto candidates =
      candidates_plain(float_tensor(logits).reshape({2, 6}), float_tensor(targets).reshape({2, 6}), 3);
  EXPECT_TRUE(candidates.ids.equal(index_tensor({5, 4, 3, 5, 4, 0}).reshape({2, 3})));
  EXPECT_TRUE(candidates.labels.equal(index_tensor({1, 2})));
  // The token before is 2 in both: A[2] = [0.3, -0.4]; W h = [-2, 1.5] and [-3, -0.5].
  const CandidateSide side{
      {}, float_tensor({-0.6f, -0.6f, -0.9f, 0.2f}).reshape({2, 2}), float_tensor(successors).reshape({6, 2})};
  const auto scores = candidate_scores_plain(side, candidates);
  expect_close(scores, float_tensor({4.97f, 3.94f, 2.91f, 5.23f, 4.13f, -0.27f}).reshape({2, 3}), 1e-6, "scores");
  const auto losses = -scores.log_softmax(1).gather(1, candidates.labels.unsqueeze(1)).squeeze(1);
  expect_close(losses, float_tensor({1.425051697f, 5.790396776f}), 1e-6, "losses");
}

// In several chunks, with a head of the draft's own and pairs in another order than their targets.
TEST(PairCandidates, TheChunkedPassFindsThePlainOnesWithGradients) {
  const int64_t count = 150, vocab = 203, hidden = 12, rank = 5;
  const FrozenHeads heads{noise({vocab, hidden}, 40, 0.6), noise({vocab, hidden}, 42, 0.6),
                          1.0 + noise({hidden}, 41, 0.2), 1e-5};
  PairRows rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.states.push_back(i);
    rows.targets.push_back((7 * i) % 40);
  }
  const auto states = leaf({count, hidden}, 1), context = leaf({count, rank}, 3), codebook = leaf({vocab, rank}, 4);
  const auto verifier = noise({40, hidden}, 2, 2.0);
  const CandidateSide side{states, context, codebook};
  const PairCandidates plain = pair_losses_plain(states, verifier, rows, heads, {}, 6).candidates;
  const auto plain_scores = candidate_scores_plain(side, plain);
  const auto expected = gradients(plain_scores, {states, context, codebook});
  PairLossOptions options;
  options.chunk_bytes = 1;  // 64 rows at a time
  options.num_candidates = 6;
  const PairCandidates fused = pair_losses(states, verifier, rows, heads, options).candidates;
  EXPECT_TRUE(fused.ids.equal(plain.ids));
  EXPECT_TRUE(fused.labels.equal(plain.labels));
  EXPECT_TRUE(fused.holds_label.equal(plain.holds_label));
  expect_close(fused.target_mass, plain.target_mass, 1e-5, "mass");
  const auto scores = candidate_scores(side, heads.lm_head, fused);
  expect_close(scores, plain_scores, 1e-6, "scores");
  const auto found = gradients(scores, {states, context, codebook});
  for (size_t i = 0; i < 3; ++i) expect_close(found[i], expected[i], 1e-5, "gradient");
}

}  // namespace
}  // namespace speculators::nn
