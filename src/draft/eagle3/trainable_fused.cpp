#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>

#include <algorithm>

#include "draft/eagle3/trainable_model.h"
#include "draft/eagle3/trainable_rows.h"
#include "draft/training/layer_use.h"
#include "nn/fused_ops.h"

namespace speculators {
namespace {

// Rows of one layer at one step. At step 0 every context row gives keys; the last layer asks only from chain rows.
struct StepRows {
  int64_t step = 0;
  std::vector<int64_t> keys, queries;  // packed rows
  bool narrows = false;                // queries are fewer than keys: inputs are gathered
  nn::RopeAngles key_angles, query_angles;
};

struct LayerState {
  LayerUse use;
  nn::KeysValues base;              // context rows
  std::vector<nn::KeysValues> own;  // per later step, chain rows
};

class Eagle3Pass {
 public:
  Eagle3Pass(const Eagle3Model& model, const TrainBatch& batch, ChainRows rows)
      : model_(model), network_(model.network), batch_(batch), rows_(std::move(rows)), eps_(network_.eps) {
    const LayerSettings settings{eps_, network_.hidden_act, network_.compute_dtype};
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      if (i == 0) {
        layers_.push_back({LayerUse(network_.layers[0], settings, token_columns(rows_.query_tokens),
                                    token_columns(rows_.key_tokens))});
      } else {
        layers_.push_back({LayerUse(network_.layers[i], settings)});
      }
    }
  }

  // Normed states of every step's active chain rows, step behind step. [sum of num_active, D]
  torch::Tensor run() {
    std::vector<torch::Tensor> states;
    torch::Tensor hidden = first_hidden();  // [C, D]
    for (int64_t step = 0; step < model_.options.ttt_steps && rows_.plan.num_active[step] > 0; ++step) {
      if (step > 0) hidden = hidden.narrow(0, 0, rows_.plan.num_active[step]);
      for (size_t i = 0; i < layers_.size(); ++i) hidden = run_layer(i, step_rows(i, step), hidden);
      const auto normed = nn::rms_norm(hidden, network_.norm, eps_);
      states.push_back(normed);
      if (model_.config.norm_output) hidden = normed;
    }
    return at::cat(states);
  }

 private:
  nn::FixedColumns token_columns(const RowSet& tokens) const {
    const auto ids = batch_.input_ids.index_select(0, tokens.index());
    return {nn::normalise(at::embedding(network_.frozen.embed_tokens, ids), eps_),
            {network_.layers[0].input_layernorm}};
  }

  torch::Tensor first_hidden() const {
    return fuse_aux_states(network_, batch_.aux_hidden_states.index_select(0, rows_.context.index()));
  }

  nn::RopeAngles angles(const std::vector<int64_t>& rows, int64_t step) const {
    return network_.rope.angles(batch_.position_ids.index_select(0, nn::index_tensor(rows)) + step);
  }

  StepRows step_rows(size_t layer, int64_t step) const {
    StepRows r;
    r.step = step;
    const auto chains = rows_.active(step);
    r.keys = step == 0 ? rows_.context.rows() : chains;
    r.narrows = step == 0 && layer + 1 == layers_.size();
    r.queries = r.narrows ? chains : r.keys;
    r.key_angles = angles(r.keys, step);
    r.query_angles = r.narrows ? angles(r.queries, step) : r.key_angles;
    return r;
  }

  // Rows of the queries out of rows of the keys. Context rows lie in row order, chain rows in the plan's.
  torch::Tensor at_queries(const torch::Tensor& x, const StepRows& r) const {
    return r.narrows ? nn::gather_rows(x, rows_.context.positions(r.queries)) : x;
  }

  torch::Tensor run_layer(size_t index, const StepRows& r, const torch::Tensor& hidden) {
    LayerState& state = layers_[index];
    const nn::DecoderLayer& layer = state.use.layer();
    torch::Tensor q, kv, residual;
    if (index == 0) {
      const auto normed = nn::rms_norm(hidden, layer.hidden_norm, eps_);
      const auto at_q = at_queries(normed, r);
      kv = state.use.kv.apply_fixed(rows_.key_tokens.positions(r.keys, r.step), normed);
      q = state.use.q.apply_fixed(rows_.query_tokens.positions(r.queries, r.step), at_q);
      residual = network_.norm_before_residual ? at_q : at_queries(hidden, r);
    } else {
      const auto normed = nn::rms_norm(hidden, layer.input_layernorm, eps_);
      kv = state.use.kv.apply(normed);
      q = state.use.q.apply(at_queries(normed, r));
      residual = at_queries(hidden, r);
    }
    const auto keys_values = state.use.keys_values(kv, r.key_angles);
    if (r.step == 0) {
      state.base = keys_values;
    } else {
      state.own.push_back(keys_values);
    }
    const auto mixed = state.use.attend(state.use.queries(q, r.query_angles), state.base, own_keys(state, r),
                                        chain_attention_plan(rows_, r.queries, r.step, network_.windows[index]));
    return state.use.finish(mixed, residual);
  }

  // Chain entries of the rows that are still active: the first rows of every step.
  nn::KeysValues own_keys(const LayerState& state, const StepRows& r) const {
    if (r.step == 0) return {};
    const auto count = static_cast<int64_t>(r.queries.size());
    std::vector<torch::Tensor> keys, values;
    for (const nn::KeysValues& entry : state.own) {
      keys.push_back(entry.keys.narrow(0, 0, count));
      values.push_back(entry.values.narrow(0, 0, count));
    }
    return {at::cat(keys), at::cat(values)};
  }

  const Eagle3Model& model_;
  const ChainNetwork& network_;
  const TrainBatch& batch_;
  const ChainRows rows_;
  const double eps_;
  std::vector<LayerState> layers_;
};

// Row of each pair among the states of run().
nn::PairRows pair_rows(const ChainPlan& plan, int64_t num_rows) {
  std::vector<int64_t> position(num_rows, -1), offset = {0};
  for (size_t i = 0; i < plan.rows.size(); ++i) position[plan.rows[i]] = static_cast<int64_t>(i);
  for (const int64_t active : plan.num_active) offset.push_back(offset.back() + active);
  nn::PairRows pairs;
  for (const ChainPair& pair : plan.pairs) {
    pairs.states.push_back(offset[pair.step] + position[pair.row]);
    pairs.targets.push_back(pair.target());
    pairs.wants_gradient.push_back(pair.in_loss);
  }
  return pairs;
}

}  // namespace

LossResult eagle3_forward(const Eagle3Model& model, const TrainBatch& batch) {
  const ChainNetwork& network = model.network;
  const BatchRows rows = read_batch_rows(batch, network.aux_width(), network.hidden_size);
  const ChainPlan plan = plan_chains(rows, model.options.ttt_steps, model.options.compat_upstream);
  const auto metrics = [&](const nn::PairOutcome& outcome) {
    return chain_metrics(plan, rows, outcome, model.options.loss, model.options.ttt_step_loss_decay,
                         model.options.compat_upstream);
  };
  if (plan.pairs.empty()) return {(network.norm * 0.0).sum(), metrics({})};
  const auto states = Eagle3Pass(model, batch, make_chain_rows(rows, plan, network.layers.size() > 1)).run();
  const nn::PairLosses losses =
      nn::pair_losses(states, batch.last_hidden_states, pair_rows(plan, rows.num_rows()), network.frozen.heads,
                      {model.options.loss, model.options.compute_dtype});
  const auto weights = nn::float_tensor(chain_weights(plan, model.options.ttt_step_loss_decay));
  return {(losses.value * weights).sum(), metrics(nn::outcome_of(losses))};
}

}  // namespace speculators
