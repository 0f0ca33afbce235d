// Attention without a mask against the dense twin with one: values and all five gradients.
#include "nn/range_attention.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "nn/plain_ops.h"
#include "nn/test_tensors.h"

namespace speculators::nn {
namespace {

using namespace testing_tensors;

struct Problem {
  AttentionShape shape;
  int64_t num_base = 0, num_own = 0;
  RangeAttentionPlan plan;
  int64_t num_queries() const { return static_cast<int64_t>(plan.first.size()); }
};

struct Query {
  int64_t first, last;
  std::vector<int64_t> own;
};

Problem make_problem(AttentionShape shape, int64_t num_base, int64_t num_own,
                     const std::vector<std::vector<Query>>& groups) {
  Problem problem{shape, num_base, num_own};
  problem.plan.own_begin.push_back(0);
  for (const auto& group : groups) {
    AttentionTask task;
    for (const Query& query : group) {
      task.queries.push_back(static_cast<int64_t>(problem.plan.first.size()));
      problem.plan.first.push_back(query.first);
      problem.plan.last.push_back(query.last);
      problem.plan.own_index.insert(problem.plan.own_index.end(), query.own.begin(), query.own.end());
      problem.plan.own_begin.push_back(static_cast<int64_t>(problem.plan.own_index.size()));
    }
    problem.plan.tasks.push_back(task);
  }
  return problem;
}

torch::Tensor dense_mask(const Problem& problem) {
  auto visible = at::zeros({problem.num_queries(), problem.num_base + problem.num_own}, torch::kBool);
  for (int64_t q = 0; q < problem.num_queries(); ++q) {
    const RangeAttentionPlan& plan = problem.plan;
    visible[q].narrow(0, plan.first[q], plan.last[q] - plan.first[q]).fill_(true);
    for (int64_t i = plan.own_begin[q]; i < plan.own_begin[q + 1]; ++i)
      visible[q][problem.num_base + plan.own_index[i]] = true;
  }
  return visible;
}

void expect_dense_result(const Problem& problem) {
  const auto& s = problem.shape;
  const int64_t width = s.num_kv_heads * s.head_dim;
  std::vector<torch::Tensor> leaves = {leaf({problem.num_queries(), s.num_heads * s.head_dim}, 1, 2.0),
                                       leaf({problem.num_base, width}, 2), leaf({problem.num_base, width}, 3)};
  if (problem.num_own > 0)
    leaves.insert(leaves.end(), {leaf({problem.num_own, width}, 4), leaf({problem.num_own, width}, 5)});
  const auto heads = [&](const torch::Tensor& x) { return x.unflatten(1, {-1, s.head_dim}); };
  const bool has_own = problem.num_own > 0;
  const auto keys = has_own ? at::cat({leaves[1], leaves[3]}) : leaves[1];
  const auto values = has_own ? at::cat({leaves[2], leaves[4]}) : leaves[2];
  const auto dense = attention_plain(heads(leaves[0]), heads(keys), heads(values), dense_mask(problem));
  const auto expected = gradients(dense, leaves);
  const KeysValues own = has_own ? KeysValues{leaves[3], leaves[4]} : KeysValues{};
  const auto out =
      range_attention(leaves[0], {leaves[1], leaves[2]}, own, s, std::make_shared<RangeAttentionPlan>(problem.plan));
  expect_close(out, dense, 1e-5, "value");
  const auto found = gradients(out, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) expect_close(found[i], expected[i], 1e-5, "gradient " + std::to_string(i));
}

TEST(RangeAttention, CausalDocumentsWithoutOwnKeys) {
  expect_dense_result(make_problem({4, 2, 8}, 7, 0, {{{0, 1}, {0, 2}, {0, 3}, {0, 4}}, {{4, 5}, {4, 6}, {4, 7}}}));
}

TEST(RangeAttention, ChainsSeeTheirOwnEarlierSteps) {
  expect_dense_result(make_problem({3, 3, 4}, 5, 6, {{{0, 1, {0, 3}}, {0, 2, {1, 4}}, {0, 5, {2, 5}}}}));
}

TEST(RangeAttention, BlocksShareTheirOwnKeysAndMayHaveNoBase) {
  expect_dense_result(
      make_problem({4, 1, 8}, 4, 4, {{{0, 0, {0, 1}}, {0, 0, {0, 1}}, {0, 3, {2, 3}}, {0, 3, {2, 3}}}}));
}

TEST(RangeAttention, WindowsMoveTheFirstKey) {
  expect_dense_result(make_problem({2, 1, 4}, 9, 0, {{{0, 3}, {1, 4}, {2, 5}, {6, 9}}}));
}

TEST(RangeAttention, ALongDocumentTakesSeveralTiles) {
  std::vector<Query> queries;
  for (int64_t i = 0; i < 150; ++i) queries.push_back({std::max<int64_t>(0, i - 100), i + 1, {i % 3}});
  expect_dense_result(make_problem({2, 1, 16}, 150, 3, {queries}));
}

TEST(RangeAttention, AQueryThatSeesNothingGivesZeros) {
  const Problem problem = make_problem({1, 1, 4}, 2, 0, {{{0, 0}, {0, 2}}});
  const auto out = range_attention(noise({2, 4}, 1), {noise({2, 4}, 2), noise({2, 4}, 3)}, {}, problem.shape,
                                   std::make_shared<RangeAttentionPlan>(problem.plan));
  EXPECT_EQ(out[0].abs().max().item<float>(), 0.0f);
  EXPECT_GT(out[1].abs().max().item<float>(), 0.0f);
}

}  // namespace
}  // namespace speculators::nn
