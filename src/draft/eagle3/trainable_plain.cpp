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

// Keys and values of one layer, step behind step. [(t+1)*T, Nk, H]
struct LayerCache {
  torch::Tensor keys, values;
};

torch::Tensor append(const torch::Tensor& cache, const torch::Tensor& rows) {
  return cache.defined() ? at::cat({cache, rows}) : rows;
}

// Base keys: bool [T, T].
torch::Tensor base_mask(const Eagle3Model& model, const TrainBatch& batch, size_t layer) {
  const auto rows = at::arange(batch.document_ids.size(0), batch.document_ids.options());
  const auto query = rows.unsqueeze(1), key = rows.unsqueeze(0);
  const auto document = batch.document_ids;
  auto visible = (key <= query) & (document.unsqueeze(1) == document.unsqueeze(0)) & (document.unsqueeze(1) != -1);
  if (model.is_sliding(layer)) visible = visible & (key > query - *model.config.layer.sliding_window);
  return visible | (key == query);
}

// T x T diagonals for the keys of later steps, behind the base mask. bool [T, (t+1)*T]
torch::Tensor step_mask(const torch::Tensor& base, int64_t step) {
  std::vector<torch::Tensor> parts = {base};
  const auto diagonal = at::eye(base.size(0), base.options());
  for (int64_t t = 0; t < step; ++t) parts.push_back(diagonal);
  return at::cat(parts, 1);
}

torch::Tensor project(const Eagle3Model& model, const nn::LinearGroup& group, size_t part, const torch::Tensor& x) {
  return nn::linear_plain(x, group.weight(part), group.has_bias() ? group.bias(part) : torch::Tensor(),
                          model.options.compute_dtype);
}

struct StepInput {
  torch::Tensor hidden;      // [T, D]
  torch::Tensor embeddings;  // [T, D], layer 0
  nn::RopeAngles angles;
  int64_t step = 0;
};

torch::Tensor attention(const Eagle3Model& model, size_t index, const torch::Tensor& x, const StepInput& input,
                        LayerCache& cache, const torch::Tensor& base) {
  const nn::DecoderLayer& layer = model.layers[index];
  const double eps = model.config.layer.rms_norm_eps;
  const int64_t head_dim = layer.shape.head_dim;
  auto q = project(model, layer.q, 0, x).unflatten(1, {-1, head_dim});
  auto k = project(model, layer.kv, 0, x).unflatten(1, {-1, head_dim});
  const auto v = project(model, layer.kv, 1, x).unflatten(1, {-1, head_dim});
  if (layer.q_norm.defined()) {
    q = nn::rms_norm_plain(q, layer.q_norm, eps);
    k = nn::rms_norm_plain(k, layer.k_norm, eps);
  }
  cache.keys = append(cache.keys, nn::rope_plain(k, input.angles.cosines, input.angles.sines));
  cache.values = append(cache.values, v);
  const auto mixed = nn::attention_plain(nn::rope_plain(q, input.angles.cosines, input.angles.sines), cache.keys,
                                         cache.values, step_mask(base, input.step));
  return project(model, layer.o, 0, mixed);
}

torch::Tensor run_layer(const Eagle3Model& model, size_t index, const StepInput& input, LayerCache& cache,
                        const torch::Tensor& base) {
  const nn::DecoderLayer& layer = model.layers[index];
  const double eps = model.config.layer.rms_norm_eps;
  torch::Tensor x, residual = input.hidden;
  if (index == 0) {
    const auto normed = nn::rms_norm_plain(input.hidden, layer.hidden_norm, eps);
    x = at::cat({nn::rms_norm_plain(input.embeddings, layer.input_layernorm, eps), normed}, 1);  // [T, 2D]
    if (model.config.norm_before_residual) residual = normed;
  } else {
    x = nn::rms_norm_plain(input.hidden, layer.input_layernorm, eps);
  }
  residual = residual + attention(model, index, x, input, cache, base);
  const auto normed = nn::rms_norm_plain(residual, layer.post_attention_layernorm, eps);
  const auto gate = nn::activation_plain(model.config.layer.hidden_act, project(model, layer.gate_up, 0, normed));
  return residual + project(model, layer.down, 0, gate * project(model, layer.gate_up, 1, normed));
}

torch::Tensor first_hidden(const Eagle3Model& model, const torch::Tensor& aux) {
  const double eps = model.config.layer.rms_norm_eps;
  auto x = aux.to(torch::kFloat32);
  if (model.config.norm_before_fc) x = nn::rms_norm_plain(x, model.input_norm, eps);
  if (model.config.fc_norm) {
    auto chunks = x.chunk(model.num_aux(), 1);
    for (size_t j = 0; j < chunks.size(); ++j) chunks[j] = nn::rms_norm_plain(chunks[j], model.fc_norm[j], eps);
    x = at::cat(chunks, 1);
  }
  return project(model, model.fc, 0, x);
}

// Token ids `step` rows on, zeros behind the end. [T]
torch::Tensor shifted(const torch::Tensor& ids, int64_t step) {
  const int64_t kept = std::max<int64_t>(ids.size(0) - step, 0);
  return at::cat({ids.narrow(0, ids.size(0) - kept, kept), at::zeros({ids.size(0) - kept}, ids.options())});
}

}  // namespace

LossResult eagle3_forward_plain(const Eagle3Model& model, const TrainBatch& batch) {
  const double eps = model.config.layer.rms_norm_eps;
  const BatchRows rows =
      read_batch_rows(batch, model.num_aux() * model.config.layer.hidden_size, model.config.layer.hidden_size);
  const ChainPlan plan = plan_chains(rows, model.options.ttt_steps, model.options.compat_upstream);
  std::vector<torch::Tensor> base;
  for (size_t i = 0; i < model.layers.size(); ++i) base.push_back(base_mask(model, batch, i));
  std::vector<LayerCache> caches(model.layers.size());
  std::vector<torch::Tensor> logit_states;  // per step [T, D]
  StepInput input{first_hidden(model, batch.aux_hidden_states)};
  for (int64_t step = 0; step < model.options.ttt_steps; ++step) {
    input.step = step;
    input.embeddings = at::embedding(model.frozen.embed_tokens, shifted(batch.input_ids, step));
    input.angles = model.rope.angles(batch.position_ids + step);
    for (size_t i = 0; i < model.layers.size(); ++i) input.hidden = run_layer(model, i, input, caches[i], base[i]);
    const auto normed = nn::rms_norm_plain(input.hidden, model.norm, eps);
    logit_states.push_back(normed);
    if (model.config.norm_output) input.hidden = normed;
  }
  std::vector<int64_t> states, targets;
  for (const ChainPair& pair : plan.pairs) {
    states.push_back(pair.step * rows.num_rows() + pair.row);
    targets.push_back(pair.target());
  }
  const nn::PairLosses losses = nn::pair_losses_plain(at::cat(logit_states), batch.last_hidden_states,
                                                      {states, targets}, model.frozen.heads, model.options.loss);
  const auto weights = nn::float_tensor(chain_weights(plan, model.options.ttt_step_loss_decay), losses.value.device());
  return {(losses.value * weights).sum(),
          chain_metrics(plan, rows, nn::outcome_of(losses), model.options.loss, model.options.ttt_step_loss_decay,
                        model.options.compat_upstream)};
}

}  // namespace speculators
