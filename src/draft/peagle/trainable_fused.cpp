#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>

#include <algorithm>
#include <numeric>

#include "draft/chain/trainable_plain.h"
#include "draft/peagle/trainable_model.h"
#include "draft/peagle/trainable_rows.h"
#include "draft/training/layer_use.h"
#include "nn/fused_ops.h"

namespace speculators {
namespace {

// 0, 1, ..., count - 1, then `last` over and over.
torch::Tensor count_then_repeat(int64_t count, int64_t last, int64_t num_repeats) {
  std::vector<int64_t> index(count);
  std::iota(index.begin(), index.end(), int64_t{0});
  index.resize(count + num_repeats, last);
  return nn::index_tensor(index);
}

// Slots of depth 1 and more all read the same token and state, so the first layer works out their queries, keys and
// values once, as one more row behind the context, and only turns them to each position.
class PEaglePass {
 public:
  PEaglePass(const PEagleModel& model, const TrainBatch& batch, SlotRows rows)
      : model_(model),
        network_(model.network),
        batch_(batch),
        rows_(std::move(rows)),
        keys_(rows_.with_slots(rows_.context)),
        queries_(rows_.with_slots(rows_.supervised)),
        key_angles_(angles(keys_)),
        query_angles_(angles(queries_)) {}

  // Normed states of the supervised rows, then of the slots. [P, D]
  torch::Tensor run() {
    auto hidden = run_first_layer();
    for (size_t i = 1; i < network_.layers.size(); ++i) hidden = run_layer(i, hidden);
    return nn::rms_norm(hidden, network_.norm, network_.eps);
  }

 private:
  int64_t num_context() const { return rows_.context.size(); }
  int64_t num_slots() const { return static_cast<int64_t>(rows_.slots.size()); }
  // In the last layer only what reaches the loss asks.
  bool narrows(size_t layer) const { return layer + 1 == network_.layers.size(); }
  LayerSettings settings() const { return {network_.eps, network_.hidden_act, network_.compute_dtype}; }

  nn::RopeAngles angles(const std::vector<DepthSlot>& slots) const {
    std::vector<int64_t> positions;  // rows of the pack, as upstream: only distances matter
    for (const DepthSlot& slot : slots) positions.push_back(slot.row());
    return network_.rope.angles(nn::index_tensor(positions));
  }

  // Distinct tokens of the context rows and the mask, and which one each of the C + 1 rows holds.
  struct Tokens {
    torch::Tensor ids, of_row;
  };
  Tokens distinct_tokens() const {
    std::vector<int64_t> row_ids = host_values(batch_.input_ids.index_select(0, rows_.context.index()));
    row_ids.push_back(model_.config.mask_token_id);
    std::vector<int64_t> ids = row_ids;
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (int64_t& id : row_ids) id = std::lower_bound(ids.begin(), ids.end(), id) - ids.begin();
    return {nn::index_tensor(ids), nn::index_tensor(row_ids)};
  }

  // fc of the context rows' aux states, then of the learned one. [C+1, D]
  torch::Tensor first_hidden() const {
    const auto mask = fuse_aux_states_plain(network_, model_.mask_hidden.view({1, -1}));
    return at::cat({fuse_aux_states(network_, batch_.aux_hidden_states.index_select(0, rows_.context.index())), mask});
  }

  // Positions of the asking rows among the C + 1: all of them, or the supervised and the mask.
  torch::Tensor first_queries() const {
    if (!narrows(0)) return count_then_repeat(num_context() + 1, 0, 0);
    std::vector<int64_t> positions;
    for (const int64_t row : rows_.supervised.rows()) positions.push_back(rows_.context.position(row));
    positions.push_back(num_context());
    return nn::index_tensor(positions);
  }

  struct Projected {
    torch::Tensor q, kv;  // of the asking rows, of all C + 1
  };
  Projected project_first(LayerUse& use, const torch::Tensor& embeddings, const torch::Tensor& normed,
                          const torch::Tensor& asking, const Tokens& tokens) const {
    if (!model_.config.embed_requires_grad) {
      return {use.q.apply_fixed(tokens.of_row.index_select(0, asking), nn::gather_rows(normed, asking)),
              use.kv.apply_fixed(tokens.of_row, normed)};
    }
    const auto embedded = nn::rms_norm(embeddings, network_.layers[0].input_layernorm, network_.eps);
    const auto inputs = at::cat({nn::repeat_rows(embedded, tokens.of_row), normed}, 1);  // [C+1, 2D]
    return {use.q.apply(nn::gather_rows(inputs, asking)), use.kv.apply(inputs)};
  }

  LayerUse first_use(const torch::Tensor& embeddings) const {
    const nn::DecoderLayer& layer = network_.layers[0];
    if (model_.config.embed_requires_grad) return LayerUse(layer, settings());
    const nn::FixedColumns columns{nn::normalise(embeddings, network_.eps), {layer.input_layernorm}};
    return LayerUse(layer, settings(), columns, columns);
  }

  torch::Tensor run_first_layer() {
    const Tokens tokens = distinct_tokens();
    const auto embeddings = at::embedding(model_.embed_tokens, tokens.ids, model_.padding_token());
    LayerUse use = first_use(embeddings);
    const auto hidden = first_hidden();  // [C+1, D]
    const auto normed = nn::rms_norm(hidden, network_.layers[0].hidden_norm, network_.eps);
    const auto asking = first_queries();
    const auto [q, kv] = project_first(use, embeddings, normed, asking, tokens);
    const auto residual = nn::gather_rows(network_.norm_before_residual ? normed : hidden, asking);
    const int64_t num_asking = asking.size(0) - 1;
    const auto spread = count_then_repeat(num_asking, num_asking, num_slots());
    return attend_and_finish(0, use, nn::repeat_rows(q, spread),
                             nn::repeat_rows(kv, count_then_repeat(num_context(), num_context(), num_slots())),
                             nn::repeat_rows(residual, spread));
  }

  // hidden [C+M, D], context rows then slots.
  torch::Tensor run_layer(size_t index, const torch::Tensor& hidden) {
    LayerUse use(network_.layers[index], settings());
    const auto normed = nn::rms_norm(hidden, network_.layers[index].input_layernorm, network_.eps);
    return attend_and_finish(index, use, use.q.apply(at_queries(index, normed)), use.kv.apply(normed),
                             at_queries(index, hidden));
  }

  torch::Tensor at_queries(size_t index, const torch::Tensor& x) const {
    if (!narrows(index)) return x;
    std::vector<int64_t> positions;
    for (const int64_t row : rows_.supervised.rows()) positions.push_back(rows_.context.position(row));
    for (int64_t slot = 0; slot < num_slots(); ++slot) positions.push_back(num_context() + slot);
    return nn::gather_rows(x, nn::index_tensor(positions));
  }

  // q and residual of the asking rows, kv [C+M, 2*Nk*H] of all.
  torch::Tensor attend_and_finish(size_t index, LayerUse& use, const torch::Tensor& q, const torch::Tensor& kv,
                                  const torch::Tensor& residual) const {
    const auto all = use.keys_values(kv, key_angles_);
    const nn::KeysValues base{all.keys.narrow(0, 0, num_context()), all.values.narrow(0, 0, num_context())};
    nn::KeysValues own;
    if (num_slots() > 0) {
      own = {all.keys.narrow(0, num_context(), num_slots()), all.values.narrow(0, num_context(), num_slots())};
    }
    const auto rotated = use.queries(q, narrows(index) ? query_angles_ : key_angles_);
    const auto plan = slot_attention_plan(rows_, narrows(index) ? queries_ : keys_, network_.windows[index]);
    return use.finish(use.attend(rotated, base, own, plan), residual);
  }

  const PEagleModel& model_;
  const ChainNetwork& network_;
  const TrainBatch& batch_;
  const SlotRows rows_;
  const std::vector<DepthSlot> keys_, queries_;  // context or supervised rows, then slots
  const nn::RopeAngles key_angles_, query_angles_;
};

}  // namespace

LossResult peagle_forward(const PEagleModel& model, const TrainBatch& batch, const std::vector<DepthSlot>& slots) {
  const ChainNetwork& network = model.network;
  const BatchRows rows = read_batch_rows(batch, network.aux_width(), network.hidden_size);
  const std::vector<DepthSlot> pairs = loss_slots(rows, slots);
  const auto metrics = [&](const nn::PairOutcome& outcome) {
    return slot_metrics(pairs, model.options.sampling.num_depths, outcome, model.options.loss);
  };
  if (pairs.empty()) return {(network.norm * 0.0).sum(), metrics({})};
  const auto states = PEaglePass(model, batch, make_slot_rows(rows, slots)).run();
  nn::PairRows pair_rows;
  for (size_t i = 0; i < pairs.size(); ++i) {
    pair_rows.states.push_back(static_cast<int64_t>(i));
    pair_rows.targets.push_back(pairs[i].row());
  }
  const nn::PairLosses losses = nn::pair_losses(states, batch.last_hidden_states, pair_rows, network.frozen.heads,
                                                {model.options.loss, model.options.compute_dtype});
  return {losses.value.sum() * slot_weight(static_cast<int64_t>(pairs.size())), metrics(nn::outcome_of(losses))};
}

}  // namespace speculators
