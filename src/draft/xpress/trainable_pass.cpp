#include "draft/xpress/trainable_pass.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "draft/xpress/trainable_chunks.h"
#include "draft/xpress/trainable_refiner.h"
#include "nn/fused_ops.h"
#include "nn/kernels/row_kernels.h"
#include "nn/linear_use.h"

namespace speculators {
namespace {

constexpr double kHardLabelEps = 1e-8;

class RefinedLossPass {
 public:
  RefinedLossPass(const XPressModel& model, const TrainBatch& batch, const BlockRows& rows, const torch::Tensor& states,
                  const torch::Tensor& features)
      : model_(model),
        batch_(batch),
        rows_(rows),
        states_(states),
        features_(features),
        vocab_(model.config.draft_vocab_size),
        num_slots_(static_cast<int64_t>(rows.slot_rows.size())),
        num_pairs_(static_cast<double>(rows.plan.pairs.size())) {
    const BatchRows batch_rows = read_batch_rows(model.block, batch);
    const std::vector<int64_t> input_ids = host_values(batch.input_ids);
    result_.previous = forced_tokens(model.config, batch_rows, input_ids, rows.plan.anchors);
    result_.previous.resize((1 + model.options.num_rounds()) * num_slots_);
    result_.sums.rounds.resize(model.options.num_rounds());
    if (model.options.has_base_anchor()) result_.sums.base.emplace();
    if (!model.config.reduced_vocabulary())
      labels_ = data_labels(rows.plan, model.config, batch_rows, input_ids, model.options.compat_upstream);
    set_loss_weights();
  }

  RefinedLosses run(bool wants_gradient) {
    wants_gradient_ = wants_gradient;
    const auto options = states_.options();
    if (wants_gradient) {
      result_.d_states = at::zeros(states_.sizes(), options);
      result_.d_latents = at::zeros({static_cast<int64_t>(result_.previous.size()), features_.size(1)}, options);
      result_.d_readout = at::zeros(model_.readout.sizes(), options);
    }
    const std::vector<BlockChunk> chunks = make_chunks(rows_.plan, model_.config, model_.options.chunk_bytes);
    int64_t num_rows = 0, num_targets = 0;
    for (const BlockChunk& chunk : chunks) {
      num_rows = std::max(num_rows, chunk.num_rows());
      num_targets = std::max(num_targets, static_cast<int64_t>(chunk.targets.size()));
    }
    base_ = at::empty({num_rows, vocab_}, options);
    logits_ = at::empty({num_rows, vocab_}, options);
    sum_ = at::empty({wants_gradient ? num_rows : 0, vocab_}, options);
    target_logits_ = at::empty({num_targets, vocab_}, options);
    if (needs_logs_) target_logs_ = at::empty({num_targets, vocab_}, options);
    for (const BlockChunk& chunk : chunks) run_chunk(chunk);
    return std::move(result_);
  }

 private:
  // One of the losses: its share of the total, where it is counted.
  struct Loss {
    PassSums& sums;
    double factor = 1;
    bool by_position = true;
  };

  // The hard cross-entropy is divided by another denominator: the ratio is made part of its weight.
  void set_loss_weights() {
    for (const nn::LossTerm& term : model_.options.loss.terms) {
      weights_.weight[static_cast<int>(term.kind)] += static_cast<float>(term.weight);
      weights_.wanted[static_cast<int>(term.kind)] = true;
      needs_logs_ |= term.kind == nn::LossKind::kReverseKl || term.kind == nn::LossKind::kJsd;
    }
    weights_.wanted[static_cast<int>(nn::LossKind::kTotalVariation)] = true;  // the acceptance
    if (!model_.options.has_hard_labels()) return;
    hard_ratio_ = (num_pairs_ + kLossDenominatorEps) / (num_pairs_ + kHardLabelEps);
    weights_.weight[static_cast<int>(nn::LossKind::kCrossEntropy)] *= static_cast<float>(hard_ratio_);
  }

  void run_chunk(const BlockChunk& chunk);
  void run_targets(const BlockChunk& chunk);
  std::vector<int64_t> argmax_of(torch::Tensor& logits) const;
  void set_round_tokens(const BlockChunk& chunk, int64_t pass, const std::vector<int64_t>& argmax);
  std::vector<int64_t> run_refined(const BlockChunk& chunk, int64_t pass, const torch::Tensor& rows);
  std::vector<int64_t> score(const BlockChunk& chunk, torch::Tensor& logits, const Loss& loss);
  int64_t label_of(const BlockChunk& chunk, int64_t row) const;
  std::vector<float> weigh(const BlockChunk& chunk, const std::vector<nn::DraftRow>& results, const Loss& loss);

  const XPressModel& model_;
  const TrainBatch& batch_;
  const BlockRows& rows_;
  const torch::Tensor states_, features_;
  const int64_t vocab_, num_slots_;
  const double num_pairs_;
  std::vector<int64_t> labels_;  // the data's tokens, by pair; empty with a reduced vocabulary
  nn::LossWeights weights_;
  double hard_ratio_ = 1;
  bool needs_logs_ = false, wants_gradient_ = false;
  RefinedLosses result_;
  std::vector<nn::TargetRow> targets_;  // by row of the chunk
  torch::Tensor base_, logits_, sum_, target_logits_, target_logs_;
  torch::Tensor scales_;  // of the rows' gradients in the pass that was scored last [n, 1]
};

void RefinedLossPass::run_chunk(const BlockChunk& chunk) {
  const XPressTrainingOptions& options = model_.options;
  run_targets(chunk);
  const auto rows = nn::index_tensor(chunk.slots);
  auto base = base_.narrow(0, 0, chunk.num_rows());
  nn::multiply_transposed(states_.index_select(0, rows), model_.block.frozen.heads.lm_head, options.compute_dtype,
                          base);
  if (wants_gradient_) sum_.narrow(0, 0, chunk.num_rows()).zero_();
  std::vector<int64_t> argmax;
  if (options.num_rounds() > 0) argmax = argmax_of(base);
  run_refined(chunk, 0, rows);
  for (int64_t pass = 1; pass <= options.num_rounds(); ++pass) {
    set_round_tokens(chunk, pass, argmax);
    argmax = run_refined(chunk, pass, rows);
  }
  if (options.has_base_anchor()) {
    score(chunk, base, {*result_.sums.base, options.base_anchor_weight, !options.base_anchor_full_weight});
    if (wants_gradient_) sum_.narrow(0, 0, chunk.num_rows()).addcmul_(base, scales_);
  }
  if (!wants_gradient_) return;
  auto d_states = at::empty({chunk.num_rows(), states_.size(1)}, states_.options());
  nn::multiply(sum_.narrow(0, 0, chunk.num_rows()), model_.block.frozen.heads.lm_head, options.compute_dtype, d_states);
  result_.d_states.index_copy_(0, rows, d_states);
}

void RefinedLossPass::run_targets(const BlockChunk& chunk) {
  const auto& heads = model_.block.frozen.heads;
  const auto states = batch_.last_hidden_states.index_select(0, nn::index_tensor(chunk.targets)).to(torch::kFloat32);
  auto logits = target_logits_.narrow(0, 0, states.size(0));
  nn::multiply_transposed(nn::rms_norm(states, heads.verifier_norm, heads.verifier_norm_eps), heads.verifier_lm_head,
                          model_.options.compute_dtype, logits);
  std::vector<nn::TargetRow> distinct(chunk.targets.size());
  nn::row_kernels().target_rows(logits.mutable_data_ptr<float>(), states.size(0), vocab_, /*with_probabilities=*/true,
                                needs_logs_ ? target_logs_.mutable_data_ptr<float>() : nullptr, distinct.data());
  targets_.clear();
  for (int64_t row = 0; row < chunk.num_rows(); ++row) targets_.push_back(distinct[chunk.target_of[row]]);
}

std::vector<int64_t> RefinedLossPass::argmax_of(torch::Tensor& logits) const {
  std::vector<nn::TargetRow> rows(logits.size(0));
  nn::row_kernels().target_rows(logits.mutable_data_ptr<float>(), logits.size(0), vocab_, /*with_probabilities=*/false,
                                nullptr, rows.data());
  std::vector<int64_t> argmax;
  for (const nn::TargetRow& row : rows) argmax.push_back(row.argmax);
  return argmax;
}

// Slots behind the last row of a block are read by none before them: what they get does not matter.
void RefinedLossPass::set_round_tokens(const BlockChunk& chunk, int64_t pass, const std::vector<int64_t>& argmax) {
  const int64_t block_size = model_.config.block_size;
  const auto& d2t = model_.block.frozen.d2t;
  for (size_t row = 0; row < chunk.slots.size();) {
    const int64_t begin = chunk.slots[row] / block_size * block_size;
    const auto forced = result_.previous.begin() + begin;
    std::vector<int64_t> predicted(block_size, *forced);
    for (; row < chunk.slots.size() && chunk.slots[row] < begin + block_size; ++row) {
      const int64_t id = argmax[row];
      predicted[chunk.slots[row] - begin] = d2t.defined() ? id + d2t.const_data_ptr<int64_t>()[id] : id;
    }
    const auto tokens = round_tokens(model_.config, {forced, forced + block_size}, predicted);
    std::copy(tokens.begin(), tokens.end(), result_.previous.begin() + pass * num_slots_ + begin);
  }
}

// Gives the argmax of each row.
std::vector<int64_t> RefinedLossPass::run_refined(const BlockChunk& chunk, int64_t pass, const torch::Tensor& rows) {
  const XPressTrainingOptions& options = model_.options;
  const int64_t begin = chunk.begin * model_.config.block_size, end = chunk.end * model_.config.block_size;
  const auto tokens = result_.previous.begin() + pass * num_slots_;
  const auto latents = refiner_latents(model_, features_.narrow(0, begin, end - begin), {tokens + begin, tokens + end})
                           .index_select(0, rows - begin);  // [n, r]
  auto logits = logits_.narrow(0, 0, chunk.num_rows());
  logits.copy_(base_.narrow(0, 0, chunk.num_rows()));
  nn::multiply(latents, model_.readout.t(), options.compute_dtype, logits, /*accumulate=*/true);
  const double share = options.consistency_weight / static_cast<double>(std::max<int64_t>(options.num_rounds(), 1));
  const auto argmax =
      score(chunk, logits, pass == 0 ? Loss{result_.sums.forced} : Loss{result_.sums.rounds[pass - 1], share});
  if (!wants_gradient_) return argmax;
  sum_.narrow(0, 0, chunk.num_rows()).addcmul_(logits, scales_);
  auto d_latents = at::empty(latents.sizes(), latents.options());
  nn::multiply(logits, model_.readout, options.compute_dtype, d_latents);
  result_.d_latents.index_copy_(0, rows + pass * num_slots_, d_latents.mul_(scales_));
  nn::multiply(logits.t(), latents * scales_, options.compute_dtype, result_.d_readout, /*accumulate=*/true);
  return argmax;
}

// -1 where there is none.
int64_t RefinedLossPass::label_of(const BlockChunk& chunk, int64_t row) const {
  if (labels_.empty() || chunk.pairs[row] < 0) return -1;
  return labels_[chunk.first_pair + chunk.pairs[row]];
}

// `logits` become their gradient, still to be multiplied by scales_. Gives the argmax of each row.
std::vector<int64_t> RefinedLossPass::score(const BlockChunk& chunk, torch::Tensor& logits, const Loss& loss) {
  std::vector<nn::TargetRow> targets = targets_;
  std::vector<const nn::TargetRow*> target_of;
  std::vector<uint8_t> wants;
  for (int64_t row = 0; row < chunk.num_rows(); ++row) {
    const int64_t label = label_of(chunk, row);
    if (model_.options.has_hard_labels() && label >= 0) targets[row].argmax = label;
    target_of.push_back(&targets[row]);
    wants.push_back(wants_gradient_ && chunk.pairs[row] >= 0);
  }
  std::vector<nn::DraftRow> results(chunk.slots.size());
  nn::row_kernels().draft_rows(logits.mutable_data_ptr<float>(), chunk.num_rows(), vocab_, target_of.data(),
                               wants.data(), weights_, results.data());
  scales_ = nn::float_tensor(weigh(chunk, results, loss)).unsqueeze(1);
  std::vector<int64_t> argmax;
  for (const nn::DraftRow& result : results) argmax.push_back(result.argmax);
  return argmax;
}

// What each row's gradient is multiplied by; adds to the sums.
std::vector<float> RefinedLossPass::weigh(const BlockChunk& chunk, const std::vector<nn::DraftRow>& results,
                                          const Loss& loss) {
  std::vector<float> values, factors, scales(chunk.slots.size(), 0.0f);
  for (int64_t row = 0; row < chunk.num_rows(); ++row) {
    if (chunk.pairs[row] >= 0) values.push_back(results[row].total);
  }
  factors.assign(values.size(), 1.0f);
  if (loss.by_position) factors = position_weights(chunk.plan, model_.config, model_.options, values);
  for (int64_t row = 0; row < chunk.num_rows(); ++row) {
    if (chunk.pairs[row] < 0) continue;
    const nn::DraftRow& result = results[row];
    const double weight = factors[chunk.pairs[row]] / (num_pairs_ + kLossDenominatorEps);
    const int64_t label = label_of(chunk, row);
    loss.sums.loss += weight * result.total;
    loss.sums.acceptance += 1.0 - result.values[static_cast<int>(nn::LossKind::kTotalVariation)];
    loss.sums.hits += result.argmax == (label >= 0 ? label : targets_[row].argmax);
    for (size_t kind = 0; kind < loss.sums.terms.size(); ++kind) {
      const bool is_hard = static_cast<nn::LossKind>(kind) == nn::LossKind::kCrossEntropy;
      loss.sums.terms[kind] += weight * result.values[kind] * (is_hard ? hard_ratio_ : 1.0);
    }
    scales[row] = static_cast<float>(weight * loss.factor);
  }
  return scales;
}

}  // namespace

RefinedLosses refined_losses(const XPressModel& model, const TrainBatch& batch, const BlockRows& rows,
                             const torch::Tensor& states, const torch::Tensor& features) {
  const bool wants_gradient = at::GradMode::is_enabled() && states.requires_grad();
  const at::NoGradGuard no_grad;
  return RefinedLossPass(model, batch, rows, states.detach(), features.detach()).run(wants_gradient);
}

}  // namespace speculators
