#include "nn/pair_losses.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "nn/autograd_node.h"
#include "nn/fused_ops.h"
#include "nn/kernels/row_kernels.h"
#include "nn/linear_use.h"

namespace speculators::nn {
namespace {

using torch::autograd::variable_list;

constexpr int64_t kFewestRows = 64;

// Upstream [P] scales each pair's saved d value / d state.
struct PairLossBackward : BackwardNode {
  torch::Tensor d_states;       // [P, D], in the order of the pass
  torch::Tensor states, order;  // int64 [P]: the state and the pair of each row of d_states
  int64_t num_states = 0;

  variable_list backward(const torch::Tensor& upstream) override {
    auto result = at::zeros({num_states, d_states.size(1)}, d_states.options());
    result.index_copy_(0, states, d_states.mul_(upstream.index_select(0, order).unsqueeze(1)));
    return {result};
  }
};

// Pairs order[begin, end) have the distinct targets of this chunk, one behind the other.
struct Chunk {
  int64_t begin = 0, end = 0;
  std::vector<int64_t> targets;    // distinct rows of the verifier's states
  std::vector<int64_t> target_of;  // per pair, index into targets
};

std::vector<Chunk> make_chunks(const PairRows& pairs, const std::vector<int64_t>& order, int64_t most_rows) {
  std::vector<Chunk> chunks;
  const auto total = static_cast<int64_t>(order.size());
  for (int64_t begin = 0; begin < total;) {
    Chunk chunk{begin, begin};
    while (chunk.end < total) {
      const int64_t target = pairs.targets[order[chunk.end]];
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

LossWeights loss_weights(const LossSpec& spec) {
  LossWeights weights;
  for (const LossTerm& term : spec.terms) {
    weights.weight[static_cast<int>(term.kind)] += static_cast<float>(term.weight);
    weights.wanted[static_cast<int>(term.kind)] = true;
  }
  return weights;
}

class PairLossPass {
 public:
  PairLossPass(const torch::Tensor& states, const torch::Tensor& verifier_states, const PairRows& pairs,
               const FrozenHeads& heads, const PairLossOptions& options)
      : states_(states),
        verifier_states_(verifier_states),
        pairs_(pairs),
        heads_(heads),
        options_(options),
        weights_(loss_weights(options.spec)),
        vocab_(heads.lm_head.size(0)) {
    const auto count = static_cast<int64_t>(pairs.states.size());
    order_.resize(count);
    std::iota(order_.begin(), order_.end(), int64_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int64_t a, int64_t b) { return pairs.targets[a] < pairs.targets[b]; });
    results_.resize(count);
    match_.resize(count);
    const auto is_wanted = [&](LossKind kind) { return weights_.wanted[static_cast<int>(kind)]; };
    needs_logs_ = is_wanted(LossKind::kReverseKl) || is_wanted(LossKind::kJsd);
    needs_probabilities_ = !(is_wanted(LossKind::kCrossEntropy) && options.spec.terms.size() == 1);
  }

  // Fills results; d_states [P, D] in the order of order() when defined.
  void run(const torch::Tensor& d_states) {
    const int64_t most_rows =
        std::max(kFewestRows, options_.chunk_bytes / (vocab_ * static_cast<int64_t>(sizeof(float))));
    const std::vector<Chunk> chunks = make_chunks(pairs_, order_, most_rows);
    int64_t pair_rows = 0, target_rows = 0;
    for (const Chunk& chunk : chunks) {
      pair_rows = std::max(pair_rows, chunk.end - chunk.begin);
      target_rows = std::max(target_rows, static_cast<int64_t>(chunk.targets.size()));
    }
    const auto options = heads_.lm_head.options();
    logits_ = at::empty({pair_rows, vocab_}, options);
    target_logits_ = at::empty({target_rows, vocab_}, options);
    if (needs_logs_) logs_ = at::empty({target_rows, vocab_}, options);
    for (const Chunk& chunk : chunks) run_chunk(chunk, d_states);
  }

  const std::vector<int64_t>& order() const { return order_; }
  torch::Tensor value() const {
    std::vector<float> values;
    for (const DraftRow& row : results_) values.push_back(row.total);
    return float_tensor(values);
  }
  torch::Tensor terms() const {
    const auto& terms = options_.spec.terms;
    auto result =
        at::empty({static_cast<int64_t>(terms.size()), static_cast<int64_t>(results_.size())}, torch::kFloat32);
    float* to = result.mutable_data_ptr<float>();
    for (const LossTerm& term : terms) {
      for (const DraftRow& row : results_) *to++ = row.values[static_cast<int>(term.kind)];
    }
    return result;
  }
  torch::Tensor match() const {
    auto result = at::empty({static_cast<int64_t>(match_.size())}, torch::kBool);
    std::copy(match_.begin(), match_.end(), result.mutable_data_ptr<bool>());
    return result;
  }

 private:
  void run_targets(const Chunk& chunk, std::vector<TargetRow>& rows) {
    const auto states = verifier_states_.index_select(0, index_tensor(chunk.targets)).to(torch::kFloat32);
    auto logits = target_logits_.narrow(0, 0, states.size(0));
    multiply_transposed(rms_norm(states, heads_.verifier_norm, heads_.verifier_norm_eps), heads_.verifier_lm_head,
                        options_.compute_dtype, logits);
    rows.resize(states.size(0));
    row_kernels().target_rows(logits.mutable_data_ptr<float>(), states.size(0), vocab_, needs_probabilities_,
                              needs_logs_ ? logs_.mutable_data_ptr<float>() : nullptr, rows.data());
  }

  void run_chunk(const Chunk& chunk, const torch::Tensor& d_states) {
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
      wants.push_back(d_states.defined() && (pairs_.wants_gradient.empty() || pairs_.wants_gradient[pair]));
    }
    auto logits = logits_.narrow(0, 0, count);
    multiply_transposed(states_.index_select(0, index_tensor(rows)), heads_.lm_head, options_.compute_dtype, logits);
    std::vector<DraftRow> results(count);
    row_kernels().draft_rows(logits.mutable_data_ptr<float>(), count, vocab_, target_of.data(), wants.data(), weights_,
                             results.data());
    for (int64_t i = 0; i < count; ++i) {
      const int64_t pair = order_[chunk.begin + i];
      results_[pair] = results[i];
      match_[pair] = results[i].argmax == target_of[i]->argmax;
    }
    if (!d_states.defined()) return;
    auto d_chunk = d_states.narrow(0, chunk.begin, count);
    multiply(logits, heads_.lm_head, options_.compute_dtype, d_chunk);
  }

  const torch::Tensor states_, verifier_states_;
  const PairRows& pairs_;
  const FrozenHeads& heads_;
  const PairLossOptions& options_;
  const LossWeights weights_;
  const int64_t vocab_;
  bool needs_logs_ = false, needs_probabilities_ = true;
  std::vector<int64_t> order_;  // pairs by target row
  std::vector<DraftRow> results_;
  std::vector<uint8_t> match_;
  torch::Tensor logits_, target_logits_, logs_;
};

}  // namespace

PairLosses pair_losses(const torch::Tensor& draft_states, const torch::Tensor& verifier_states, const PairRows& pairs,
                       const FrozenHeads& heads, const PairLossOptions& options) {
  const bool wants_gradient = any_requires_grad({draft_states});
  PairLosses losses;
  c10::intrusive_ptr<PairLossBackward> node;
  {
    const at::NoGradGuard no_grad;
    PairLossPass pass(draft_states.detach(), verifier_states, pairs, heads, options);
    const auto count = static_cast<int64_t>(pairs.states.size());
    const auto d_states =
        wants_gradient ? at::empty({count, draft_states.size(1)}, draft_states.options()) : torch::Tensor();
    pass.run(d_states);
    losses.value = pass.value();
    losses.match = pass.match();
    if (options.spec.terms.size() > 1) losses.terms = pass.terms();
    if (wants_gradient) {
      std::vector<int64_t> states;
      for (const int64_t pair : pass.order()) states.push_back(pairs.states[pair]);
      node = c10::make_intrusive<PairLossBackward>();
      node->d_states = d_states;
      node->states = index_tensor(states);
      node->order = index_tensor(pass.order());
      node->num_states = draft_states.size(0);
    }
  }
  if (wants_gradient) attach_node(node, {draft_states}, losses.value);
  return losses;
}

}  // namespace speculators::nn
