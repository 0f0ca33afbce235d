#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>

#include "draft/mtp/trainable_model.h"
#include "draft/training/plain_layer.h"
#include "nn/label_losses.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

// Causal within documents. bool [T, T]
torch::Tensor visible_rows(const MtpPlan& plan, torch::Device device) {
  const auto first = nn::index_tensor(plan.document_first, device).unsqueeze(1);
  const auto row = at::arange(first.size(0), first.options());
  return (row.unsqueeze(0) <= row.unsqueeze(1)) & (row.unsqueeze(0) >= first);
}

// Token that each row reads at `step`; behind the end the last one, which no row in the loss sees. [T]
torch::Tensor tokens_at(const torch::Tensor& ids, int64_t step) {
  return ids.index_select(0, at::arange(ids.size(0), ids.options()).add(token_row(0, step)).clamp_max(ids.size(0) - 1));
}

}  // namespace

LossResult mtp_forward_plain(const MtpModel& model, const TrainBatch& batch) {
  const MtpPlan plan = make_mtp_plan(model, batch);
  const LayerSettings settings = model.settings();
  const auto device = batch.input_ids.device();
  const auto visible = visible_rows(plan, device);
  const auto angles = model.rope.angles(batch.position_ids);
  auto hidden = first_states(model, batch.last_hidden_states);  // [T, D]
  std::vector<torch::Tensor> states;
  for (size_t k = 0; k < plan.steps.size(); ++k) {
    const auto embeddings =
        at::embedding(model.frozen.embed_tokens, tokens_at(batch.input_ids, static_cast<int64_t>(k)));
    const auto inputs = at::cat({nn::rms_norm_plain(embeddings, model.token_layernorm, settings.eps),
                                 nn::rms_norm_plain(hidden, model.hidden_layernorm, settings.eps)},
                                1);  // [T, 2D]
    const auto merged = project_plain(model.input_proj, 0, inputs, settings.compute_dtype);
    LayerCache cache;  // of this step alone
    const auto x = nn::rms_norm_plain(merged, model.layer.input_layernorm, settings.eps);
    const auto out = run_layer_plain(model.layer, settings, x, merged, angles, cache, visible);
    hidden = nn::rms_norm_plain(out, model.final_layernorm, settings.eps);
    states.push_back(hidden.index_select(0, nn::index_tensor(plan.steps[k].labelled, device)));
  }
  const auto weights = mtp_row_weights(plan, model.step_weights());
  const auto losses = nn::label_losses_plain(at::cat(states), labels_of(plan, batch), model.frozen.heads.lm_head);
  return {(losses.value * nn::float_tensor(weights, device)).sum(),
          mtp_metrics(plan, weights, losses.host_values, losses.match)};
}

}  // namespace speculators
