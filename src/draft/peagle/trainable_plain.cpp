#include "draft/chain/trainable_plain.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/where.h>

#include "draft/peagle/trainable_model.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

// Every slot, the packed rows first. int64 [N], N = T + number of deeper slots
struct SlotTensors {
  torch::Tensor anchors, depths;
  torch::Tensor rows() const { return anchors + depths; }
};

SlotTensors slot_tensors(const TrainBatch& batch, const std::vector<DepthSlot>& slots) {
  const auto device = batch.input_ids.device();
  std::vector<int64_t> anchors, depths;
  for (const DepthSlot& slot : slots) {
    anchors.push_back(slot.anchor);
    depths.push_back(slot.depth);
  }
  const auto rows = at::arange(batch.input_ids.size(0), batch.input_ids.options());
  return {at::cat({rows, nn::index_tensor(anchors, device)}),
          at::cat({at::zeros_like(rows), nn::index_tensor(depths, device)})};
}

// Depth 0 is seen from behind, in its document; the own chain up to oneself. bool [N, N]
torch::Tensor slot_mask(const TrainBatch& batch, const SlotTensors& slots, std::optional<int64_t> window) {
  const int64_t length = batch.document_ids.size(0);
  // Anchor -1 is looked up at the last row, as upstream does.
  const auto document = batch.document_ids.index_select(0, (slots.anchors + length).remainder(length));
  const auto anchor = slots.anchors.unsqueeze(1), key_anchor = slots.anchors.unsqueeze(0);
  const auto depth = slots.depths.unsqueeze(1), key_depth = slots.depths.unsqueeze(0);
  auto context = (key_depth == 0) & (key_anchor <= anchor);
  if (window) context = context & (key_anchor > anchor + depth - *window);
  const auto chain = (key_anchor == anchor) & (key_depth <= depth);
  return (document.unsqueeze(1) != -1) & (document.unsqueeze(1) == document.unsqueeze(0)) & (context | chain);
}

// What the first layer reads: tokens and aux states of depth 0, the mask's elsewhere.
ChainRowsPlain first_rows(const PEagleModel& model, const TrainBatch& batch, const SlotTensors& slots) {
  const auto rows = slots.rows(), is_row = slots.depths == 0;
  const auto ids = at::where(is_row, batch.input_ids.index_select(0, rows), model.config.mask_token_id);
  const auto mask = model.mask_hidden.view({1, -1});
  const auto aux =
      at::where(is_row.unsqueeze(1), batch.aux_hidden_states.index_select(0, rows).to(torch::kFloat32), mask);
  ChainRowsPlain result{fuse_aux_states_plain(model.network, aux)};
  result.embeddings = at::embedding(model.embed_tokens, ids, model.padding_token());
  result.angles = model.network.rope.angles(rows);  // rows of the pack, as upstream: only distances matter
  return result;
}

}  // namespace

LossResult peagle_forward_plain(const PEagleModel& model, const TrainBatch& batch,
                                const std::vector<DepthSlot>& slots) {
  const ChainNetwork& network = model.network;
  const BatchRows rows = read_batch_rows(batch, network.aux_width(), network.hidden_size);
  const SlotTensors all = slot_tensors(batch, slots);
  ChainRowsPlain input = first_rows(model, batch, all);
  for (size_t i = 0; i < network.layers.size(); ++i) {
    LayerCache cache;
    input.hidden = run_layer_plain(network, i, input, cache, slot_mask(batch, all, network.windows[i]));
  }
  const auto states = nn::rms_norm_plain(input.hidden, network.norm, network.eps);
  const std::vector<DepthSlot> pairs = loss_slots(rows, slots);
  nn::PairRows pair_rows;
  for (const DepthSlot& pair : pairs) pair_rows.targets.push_back(pair.row());
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    if (rows.supervised[row]) pair_rows.states.push_back(row);
  }
  for (size_t i = 0; i < slots.size(); ++i) pair_rows.states.push_back(rows.num_rows() + static_cast<int64_t>(i));
  const nn::PairLosses losses =
      nn::pair_losses_plain(states, batch.last_hidden_states, pair_rows, network.frozen.heads, model.options.loss);
  return {losses.value.sum() * slot_weight(static_cast<int64_t>(pairs.size())),
          slot_metrics(pairs, model.options.sampling.num_depths, nn::outcome_of(losses), model.options.loss)};
}

}  // namespace speculators
