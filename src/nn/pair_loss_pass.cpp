#include "nn/pair_loss_pass.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

#include "nn/fused_ops.h"
#include "nn/linear_use.h"

namespace speculators::nn {
namespace {

constexpr int64_t kFewestRows = 64;

LossWeights loss_weights(const PairLossOptions& options) {
  LossWeights weights;
  for (const LossTerm& term : options.spec.terms) {
    weights.weight[static_cast<int>(term.kind)] += static_cast<float>(term.weight);
    weights.wanted[static_cast<int>(term.kind)] = true;
  }
  if (options.with_acceptance) weights.wanted[static_cast<int>(LossKind::kTotalVariation)] = true;
  return weights;
}

DraftSide without_gradient(const DraftSide& draft) {
  DraftSide result(draft.states.detach());
  if (!draft.has_bias()) return result;
  result.factors = draft.factors.detach();
  result.bias_weight = draft.bias_weight.detach();
  return result;
}

}  // namespace

PairLossPass::PairLossPass(const DraftSide& draft, const torch::Tensor& verifier_states, const PairRows& pairs,
                           const FrozenHeads& heads, const PairLossOptions& options)
    : draft_(without_gradient(draft)),
      verifier_states_(verifier_states),
      pairs_(pairs),
      heads_(heads),
      options_(options),
      weights_(loss_weights(options)),
      vocab_(heads.lm_head.size(0)) {
  const auto count = static_cast<int64_t>(pairs.states.size());
  order_.resize(count);
  std::iota(order_.begin(), order_.end(), int64_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](int64_t a, int64_t b) { return pairs.targets[a] < pairs.targets[b]; });
  results_.resize(count);
  match_.resize(count);
  needs_logs_ = is_wanted(LossKind::kReverseKl) || is_wanted(LossKind::kJsd);
  if (options.num_candidates > 0) candidates_ = empty_candidates(count, options.num_candidates);
  needs_probabilities_ = options.with_acceptance || options.num_candidates > 0 ||
                         !(is_wanted(LossKind::kCrossEntropy) && options.spec.terms.size() == 1);
}

std::vector<PairLossPass::Chunk> PairLossPass::make_chunks() const {
  const int64_t most_rows =
      std::max(kFewestRows, options_.chunk_bytes / (vocab_ * static_cast<int64_t>(sizeof(float))));
  std::vector<Chunk> chunks;
  const auto total = static_cast<int64_t>(order_.size());
  for (int64_t begin = 0; begin < total;) {
    Chunk chunk{begin, begin};
    while (chunk.end < total) {
      const int64_t target = pairs_.targets[order_[chunk.end]];
      const bool is_new = chunk.targets.empty() || chunk.targets.back() != target;
      const auto rows = chunk.end - begin + static_cast<int64_t>(chunk.targets.size());
      if (is_new && rows >= most_rows) break;
      if (is_new) chunk.targets.push_back(target);
      chunk.target_of.push_back(static_cast<int64_t>(chunk.targets.size()) - 1);
      ++chunk.end;
    }
    begin = chunk.end;
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

void PairLossPass::run(PairGradients& gradients) {
  const std::vector<Chunk> chunks = make_chunks();
  int64_t pair_rows = 0, target_rows = 0;
  for (const Chunk& chunk : chunks) {
    pair_rows = std::max(pair_rows, chunk.end - chunk.begin);
    target_rows = std::max(target_rows, static_cast<int64_t>(chunk.targets.size()));
  }
  const auto options = heads_.lm_head.options();
  logits_ = at::empty({pair_rows, vocab_}, options);
  target_logits_ = at::empty({target_rows, vocab_}, options);
  if (needs_logs_) logs_ = at::empty({target_rows, vocab_}, options);
  for (const Chunk& chunk : chunks) run_chunk(chunk, gradients);
}

void PairLossPass::run_targets(const Chunk& chunk, std::vector<TargetRow>& rows) {
  const auto states = verifier_states_.index_select(0, index_tensor(chunk.targets)).to(torch::kFloat32);
  auto logits = target_logits_.narrow(0, 0, states.size(0));
  multiply_transposed(rms_norm(states, heads_.verifier_norm, heads_.verifier_norm_eps), heads_.verifier_lm_head,
                      options_.compute_dtype, logits);
  rows.resize(states.size(0));
  row_kernels().target_rows(logits.mutable_data_ptr<float>(), states.size(0), vocab_, needs_probabilities_,
                            needs_logs_ ? logs_.mutable_data_ptr<float>() : nullptr, rows.data());
}

void PairLossPass::fill_logits(const torch::Tensor& rows, torch::Tensor& logits) {
  multiply_transposed(draft_.states.index_select(0, rows), heads_.lm_head, options_.compute_dtype, logits);
  if (!draft_.has_bias()) return;
  factors_ = draft_.factors.index_select(0, rows);
  multiply(factors_, draft_.bias_weight.t(), options_.compute_dtype, logits, /*accumulate=*/true);
}

void PairLossPass::run_chunk(const Chunk& chunk, PairGradients& gradients) {
  std::vector<TargetRow> targets;
  run_targets(chunk, targets);
  const int64_t count = chunk.end - chunk.begin;
  std::vector<int64_t> rows;
  std::vector<const TargetRow*> target_of;
  std::vector<uint8_t> wants;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t pair = order_[chunk.begin + i];
    rows.push_back(pairs_.states[pair]);
    target_of.push_back(&targets[chunk.target_of[i]]);
    wants.push_back(gradients.wanted() && (pairs_.wants_gradient.empty() || pairs_.wants_gradient[pair]));
  }
  auto logits = logits_.narrow(0, 0, count);
  fill_logits(index_tensor(rows), logits);
  if (options_.num_candidates > 0) fill_candidates(chunk, logits, target_of);
  std::vector<DraftRow> results(count);
  row_kernels().draft_rows(logits.mutable_data_ptr<float>(), count, vocab_, target_of.data(), wants.data(), weights_,
                           results.data());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t pair = order_[chunk.begin + i];
    results_[pair] = results[i];
    match_[pair] = results[i].argmax == target_of[i]->argmax;
  }
  if (gradients.wanted()) fill_gradients(chunk, logits, gradients);
}

void PairLossPass::fill_candidates(const Chunk& chunk, const torch::Tensor& logits,
                                   const std::vector<const TargetRow*>& targets) {
  const int64_t count = chunk.end - chunk.begin, num_candidates = options_.num_candidates;
  std::vector<int64_t> largest(count * num_candidates);
  row_kernels().largest_rows(logits.const_data_ptr<float>(), count, vocab_, num_candidates, largest.data());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t pair = order_[chunk.begin + i], choice = targets[i]->argmax;
    int64_t *ids = largest.data() + i * num_candidates, *last = ids + num_candidates - 1;
    const int64_t label = std::find(ids, last + 1, choice) - ids;
    candidates_.holds_label.mutable_data_ptr<bool>()[pair] = label < num_candidates;
    candidates_.labels.mutable_data_ptr<int64_t>()[pair] = std::min(label, num_candidates - 1);
    if (label == num_candidates) *last = choice;
    float mass = 0;
    for (int64_t k = 0; k < num_candidates; ++k) {
      candidates_.ids.mutable_data_ptr<int64_t>()[pair * num_candidates + k] = ids[k];
      candidates_.logits.mutable_data_ptr<float>()[pair * num_candidates + k] =
          logits.const_data_ptr<float>()[i * vocab_ + ids[k]];
      mass += targets[i]->probabilities[ids[k]];
    }
    candidates_.target_mass.mutable_data_ptr<float>()[pair] = mass;
  }
}

// `logits` hold their gradient by now.
void PairLossPass::fill_gradients(const Chunk& chunk, const torch::Tensor& logits, PairGradients& gradients) {
  const int64_t count = chunk.end - chunk.begin;
  auto d_states = gradients.states.narrow(0, chunk.begin, count);
  multiply(logits, heads_.lm_head, options_.compute_dtype, d_states);
  if (!gradients.factors.defined()) return;
  auto d_factors = gradients.factors.narrow(0, chunk.begin, count);
  multiply(logits, draft_.bias_weight, options_.compute_dtype, d_factors);
  std::vector<float> weights;
  for (int64_t i = 0; i < count; ++i) weights.push_back(pairs_.weights[order_[chunk.begin + i]]);
  multiply(logits.t(), factors_.mul_(float_tensor(weights).unsqueeze(1)), options_.compute_dtype, gradients.bias_weight,
           /*accumulate=*/true);
}

PairLosses PairLossPass::losses() const {
  std::vector<float> values, acceptance;
  for (const DraftRow& row : results_) {
    values.push_back(row.total);
    acceptance.push_back(1.0f - row.values[static_cast<int>(LossKind::kTotalVariation)]);
  }
  PairLosses losses;
  losses.value = float_tensor(values);
  losses.candidates = candidates_;
  if (options_.with_acceptance) losses.acceptance = float_tensor(acceptance);
  losses.match = at::empty({static_cast<int64_t>(match_.size())}, torch::kBool);
  std::copy(match_.begin(), match_.end(), losses.match.mutable_data_ptr<bool>());
  const auto& terms = options_.spec.terms;
  if (terms.size() < 2) return losses;
  losses.terms = at::empty({static_cast<int64_t>(terms.size()), static_cast<int64_t>(values.size())}, torch::kFloat32);
  float* to = losses.terms.mutable_data_ptr<float>();
  for (const LossTerm& term : terms) {
    for (const DraftRow& row : results_) *to++ = row.values[static_cast<int>(term.kind)];
  }
  return losses;
}

}  // namespace speculators::nn
