#include "draft/chain/trainable_plain.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/zeros.h>

#include "draft/eagle3/targets.h"
#include "draft/eagle3/trainable_model.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

// Base keys: bool [T, T].
torch::Tensor base_mask(const TrainBatch& batch, std::optional<int64_t> window) {
  const auto rows = at::arange(batch.document_ids.size(0), batch.document_ids.options());
  const auto query = rows.unsqueeze(1), key = rows.unsqueeze(0);
  const auto document = batch.document_ids;
  auto visible = (key <= query) & (document.unsqueeze(1) == document.unsqueeze(0)) & (document.unsqueeze(1) != -1);
  if (window) visible = visible & (key > query - *window);
  return visible | (key == query);
}

// T x T diagonals for the keys of later steps, behind the base mask. bool [T, (t+1)*T]
torch::Tensor step_mask(const torch::Tensor& base, int64_t step) {
  std::vector<torch::Tensor> parts = {base};
  const auto diagonal = at::eye(base.size(0), base.options());
  for (int64_t t = 0; t < step; ++t) parts.push_back(diagonal);
  return at::cat(parts, 1);
}

// Token ids `step` rows on, zeros behind the end. [T]
torch::Tensor shifted(const torch::Tensor& ids, int64_t step) {
  const int64_t kept = std::max<int64_t>(ids.size(0) - step, 0);
  return at::cat({ids.narrow(0, ids.size(0) - kept, kept), at::zeros({ids.size(0) - kept}, ids.options())});
}

}  // namespace

LossResult eagle3_forward_plain(const Eagle3Model& model, const TrainBatch& batch) {
  const ChainNetwork& network = model.network;
  const BatchRows rows = read_batch_rows(batch, network.aux_width(), network.hidden_size);
  const ChainPlan plan = plan_chains(rows, model.options.ttt_steps, model.options.compat_upstream);
  std::vector<torch::Tensor> base;
  for (const auto& window : network.windows) base.push_back(base_mask(batch, window));
  std::vector<LayerCache> caches(network.layers.size());
  std::vector<torch::Tensor> logit_states;  // per step [T, D]
  ChainRowsPlain input{fuse_aux_states_plain(network, batch.aux_hidden_states)};
  for (int64_t step = 0; step < model.options.ttt_steps; ++step) {
    input.embeddings = at::embedding(network.frozen.embed_tokens, shifted(batch.input_ids, step));
    input.angles = network.rope.angles(batch.position_ids + step);
    for (size_t i = 0; i < network.layers.size(); ++i)
      input.hidden = run_layer_plain(network, i, input, caches[i], step_mask(base[i], step));
    const auto normed = nn::rms_norm_plain(input.hidden, network.norm, network.eps);
    logit_states.push_back(normed);
    if (model.config.norm_output) input.hidden = normed;
  }
  std::vector<int64_t> states, targets;
  for (const ChainPair& pair : plan.pairs) {
    states.push_back(pair.step * rows.num_rows() + pair.row);
    targets.push_back(pair.target());
  }
  const nn::PairLosses losses = nn::pair_losses_plain(at::cat(logit_states), batch.last_hidden_states,
                                                      {states, targets}, network.frozen.heads, model.options.loss);
  const auto weights = nn::float_tensor(chain_weights(plan, model.options.ttt_step_loss_decay), losses.value.device());
  return {(losses.value * weights).sum(),
          chain_metrics(plan, rows, nn::outcome_of(losses), model.options.loss, model.options.ttt_step_loss_decay,
                        model.options.compat_upstream)};
}

}  // namespace speculators
