#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>

#include "draft/mtp/trainable_model.h"
#include "draft/mtp/trainable_rows.h"
#include "nn/fused_ops.h"
#include "nn/label_losses.h"

namespace speculators {
namespace {

class MtpPass {
 public:
  MtpPass(const MtpModel& model, const TrainBatch& batch, const MtpPlan& plan)
      : model_(model),
        batch_(batch),
        plan_(plan),
        num_rows_(batch.input_ids.size(0)),
        tokens_(tokens_read(plan, num_rows_)),
        input_(model.input_proj, token_columns(), model.options.compute_dtype),
        layer_(model.layer, model.settings()) {}

  // States of every step's labelled rows, step behind step. [num_labelled, D]
  torch::Tensor run() {
    std::vector<torch::Tensor> states;
    RowSet context = row_set(plan_.steps[0].context, num_rows_);
    auto hidden = first_states(model_, batch_.last_hidden_states.index_select(0, context.index()));
    for (size_t k = 0; k < plan_.steps.size() && !plan_.steps[k].computed.empty(); ++k) {
      const MtpStep& step = plan_.steps[k];
      const auto out = run_step(static_cast<int64_t>(k), context, hidden);  // at computed rows
      const RowSet computed = row_set(step.computed, num_rows_);
      states.push_back(at_rows(out, computed, step.labelled));
      if (k + 1 == plan_.steps.size()) break;
      hidden = at_rows(out, computed, plan_.steps[k + 1].context);
      context = row_set(plan_.steps[k + 1].context, num_rows_);
    }
    return at::cat(states);
  }

 private:
  static RowSet tokens_read(const MtpPlan& plan, int64_t num_rows) {
    std::vector<uint8_t> read(num_rows, 0);
    for (size_t k = 0; k < plan.steps.size(); ++k) {
      for (const int64_t row : plan.steps[k].context) read[token_row(row, static_cast<int64_t>(k))] = 1;
    }
    return RowSet(read);
  }

  nn::FixedColumns token_columns() const {
    const auto ids = batch_.input_ids.index_select(0, tokens_.index());
    const auto embeddings = at::embedding(model_.frozen.embed_tokens, ids);
    return {nn::normalise(embeddings, model_.config.verifier.rms_norm_eps), {model_.token_layernorm}};
  }

  static torch::Tensor at_rows(const torch::Tensor& x, const RowSet& from, const std::vector<int64_t>& rows) {
    if (static_cast<int64_t>(rows.size()) == from.size()) return x;
    return nn::gather_rows(x, from.positions(rows));
  }

  nn::RopeAngles angles(const std::vector<int64_t>& rows) const {
    return model_.rope.angles(batch_.position_ids.index_select(0, nn::index_tensor(rows)));
  }

  // hidden [context rows, D] -> [computed rows, D]
  torch::Tensor run_step(int64_t k, const RowSet& context, const torch::Tensor& hidden) {
    const MtpStep& step = plan_.steps[k];
    const double eps = model_.config.verifier.rms_norm_eps;
    const auto merged = input_.apply_fixed(tokens_.positions(step.context, token_row(0, k)),
                                           nn::rms_norm(hidden, model_.hidden_layernorm, eps));
    const auto normed = nn::rms_norm(merged, model_.layer.input_layernorm, eps);
    const auto keys_values = layer_.keys_values(layer_.kv.apply(normed), angles(step.context));
    const auto q = layer_.q.apply(at_rows(normed, context, step.computed));
    const auto mixed = layer_.attend(layer_.queries(q, angles(step.computed)), keys_values, {},
                                     mtp_attention_plan(plan_, step, context));
    const auto out = layer_.finish(mixed, at_rows(merged, context, step.computed));
    return nn::rms_norm(out, model_.final_layernorm, eps);
  }

  const MtpModel& model_;
  const TrainBatch& batch_;
  const MtpPlan& plan_;
  const int64_t num_rows_;
  const RowSet tokens_;
  nn::LinearUse input_;
  LayerUse layer_;
};

}  // namespace

LossResult mtp_forward(const MtpModel& model, const TrainBatch& batch) {
  const MtpPlan plan = make_mtp_plan(model, batch);
  const auto weights = mtp_row_weights(plan, model.step_weights());
  if (weights.empty()) return {(model.final_layernorm * 0.0).sum(), mtp_metrics(plan, {}, {}, {})};
  const auto states = MtpPass(model, batch, plan).run();
  const auto losses = nn::label_losses(states, labels_of(plan, batch), model.frozen.heads.lm_head,
                                       {.compute_dtype = model.options.compute_dtype});
  return {(losses.value * nn::float_tensor(weights)).sum(),
          mtp_metrics(plan, weights, losses.host_values, losses.match)};
}

}  // namespace speculators
