#include "nn/pair_candidates.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "nn/autograd_node.h"
#include "nn/kernels/row_kernels.h"

namespace speculators::nn {
namespace {

using torch::autograd::variable_list;

GatheredRows gathered(const torch::Tensor& table, const torch::Tensor& ids) {
  GatheredRows rows;
  rows.table = table.const_data_ptr<float>();
  rows.ids = ids.const_data_ptr<int64_t>();
  rows.num_rows = ids.size(0);
  rows.count = ids.size(1);
  rows.width = table.size(1);
  return rows;
}

// What x gets from scores whose gradients are `factors`. [P, width]
torch::Tensor gathered_sums(const torch::Tensor& table, const torch::Tensor& ids, const torch::Tensor& factors) {
  auto sums = at::empty({ids.size(0), table.size(1)}, table.options());
  row_kernels().gathered_sums(gathered(table, ids), factors.const_data_ptr<float>(), sums.mutable_data_ptr<float>());
  return sums;
}

// Inputs: states, context, codebook.
struct ScoresBackward : BackwardNode {
  torch::Tensor ids, lm_head, context, codebook;

  variable_list backward(const torch::Tensor& upstream) override {
    auto d_codebook = at::zeros(codebook.sizes(), codebook.options());
    row_kernels().scattered_sums(gathered(codebook, ids), upstream.const_data_ptr<float>(),
                                 context.const_data_ptr<float>(), d_codebook.mutable_data_ptr<float>());
    return {gathered_sums(lm_head, ids, upstream), gathered_sums(codebook, ids, upstream), d_codebook};
  }
};

}  // namespace

PairCandidates empty_candidates(int64_t num_pairs, int64_t num_candidates) {
  PairCandidates result;
  result.ids = at::empty({num_pairs, num_candidates}, torch::kInt64);
  result.logits = at::empty({num_pairs, num_candidates}, torch::kFloat32);
  result.labels = at::empty({num_pairs}, torch::kInt64);
  result.holds_label = at::empty({num_pairs}, torch::kBool);
  result.target_mass = at::empty({num_pairs}, torch::kFloat32);
  return result;
}

PairCandidates candidates_plain(const torch::Tensor& logits, const torch::Tensor& targets, int64_t num_candidates) {
  PairCandidates result;
  result.ids = std::get<1>(logits.detach().topk(num_candidates, -1));
  const auto choice = targets.argmax(-1);
  const auto hits = result.ids.eq(choice.unsqueeze(1));
  result.holds_label = hits.any(1);
  result.labels =
      at::where(result.holds_label, hits.to(torch::kInt64).argmax(1), at::full_like(choice, num_candidates - 1));
  auto last = result.ids.select(1, num_candidates - 1);
  last.copy_(at::where(result.holds_label, last, choice));
  result.logits = logits.gather(1, result.ids);
  result.target_mass = targets.softmax(-1).gather(1, result.ids).sum(1);
  return result;
}

torch::Tensor candidate_scores(const CandidateSide& side, const torch::Tensor& lm_head,
                               const PairCandidates& candidates) {
  const auto context = side.context.detach().contiguous(), codebook = side.codebook.detach();
  auto scores = candidates.logits.clone();
  row_kernels().gathered_dots(gathered(codebook, candidates.ids), context.const_data_ptr<float>(),
                              scores.mutable_data_ptr<float>());
  if (any_requires_grad({side.states, side.context, side.codebook})) {
    auto node = c10::make_intrusive<ScoresBackward>();
    node->ids = candidates.ids;
    node->lm_head = lm_head;
    node->context = context;
    node->codebook = codebook;
    attach_node(node, {side.states, side.context, side.codebook}, scores);
  }
  return scores;
}

torch::Tensor candidate_scores_plain(const CandidateSide& side, const PairCandidates& candidates) {
  const auto rows = side.codebook.index_select(0, candidates.ids.flatten()).unflatten(0, candidates.ids.sizes());
  return candidates.logits + (side.context.unsqueeze(1) * rows).sum(-1);
}

}  // namespace speculators::nn
