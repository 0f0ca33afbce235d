#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "draft/block/trainable_model.h"
#include "nn/plain_ops.h"

namespace speculators {
namespace {

struct Blocks {
  torch::Tensor anchors;         // int64 [G]
  torch::Tensor context;         // c [T, D]: the projected verifier features, the same in every layer
  nn::RopeAngles keys, queries;  // of T base rows and G*L slots; of the slots
};

torch::Tensor project(const BlockModel& model, const nn::LinearGroup& group, size_t part, const torch::Tensor& x) {
  return nn::linear_plain(x, group.weight(part), group.has_bias() ? group.bias(part) : torch::Tensor(),
                          model.options.compute_dtype);
}

// bool [G*L, T + G*L]
torch::Tensor visible_keys(const BlockModel& model, const TrainBatch& batch, const torch::Tensor& anchors,
                           size_t layer) {
  const int64_t block_size = model.config.block_size, slots = anchors.size(0) * block_size;
  const auto slot = at::arange(slots, anchors.options());
  const auto block = slot.floor_divide(block_size), offset = slot.remainder(block_size);
  const auto anchor = anchors.index_select(0, block).unsqueeze(1);  // [G*L, 1]
  const auto key = at::arange(batch.document_ids.size(0), anchors.options()).unsqueeze(0);
  const auto document = batch.document_ids.index_select(0, anchor.squeeze(1)).unsqueeze(1);
  auto base = (key < anchor) & (batch.document_ids.unsqueeze(0) == document) & (document != -1);
  if (model.is_sliding(layer)) base = base & (key >= anchor - *model.config.layer.sliding_window);
  auto own = block.unsqueeze(1) == block.unsqueeze(0);
  if (model.is_causal(layer)) own = own & (offset.unsqueeze(0) <= offset.unsqueeze(1));
  return at::cat({base, own}, 1);
}

torch::Tensor attention(const BlockModel& model, size_t index, const torch::Tensor& x, const Blocks& blocks,
                        const torch::Tensor& visible) {
  const nn::DecoderLayer& layer = model.layers[index];
  const double eps = model.config.layer.rms_norm_eps;
  const auto heads = [&](const torch::Tensor& rows) { return rows.unflatten(1, {-1, layer.shape.head_dim}); };
  const auto source = at::cat({blocks.context, x});  // [T + G*L, D]
  const auto q = nn::rms_norm_plain(heads(project(model, layer.q, 0, x)), layer.q_norm, eps);
  const auto k = nn::rms_norm_plain(heads(project(model, layer.kv, 0, source)), layer.k_norm, eps);
  const auto v = heads(project(model, layer.kv, 1, source));
  const auto mixed = nn::attention_plain(nn::rope_plain(q, blocks.queries.cosines, blocks.queries.sines),
                                         nn::rope_plain(k, blocks.keys.cosines, blocks.keys.sines), v, visible);
  return project(model, layer.o, 0, mixed);
}

torch::Tensor mlp(const BlockModel& model, size_t index, const torch::Tensor& x) {
  const nn::DecoderLayer& layer = model.layers[index];
  const auto gate = nn::activation_plain(model.config.layer.hidden_act, project(model, layer.gate_up, 0, x));
  return project(model, layer.down, 0, gate * project(model, layer.gate_up, 1, x));
}

torch::Tensor run_layer(const BlockModel& model, size_t index, const torch::Tensor& hidden, const Blocks& blocks,
                        const torch::Tensor& visible) {
  const nn::DecoderLayer& layer = model.layers[index];
  const double eps = model.config.layer.rms_norm_eps;
  const auto x = nn::rms_norm_plain(hidden, layer.input_layernorm, eps);
  if (model.convolutions.empty()) {
    const auto residual = hidden + attention(model, index, x, blocks, visible);
    return residual + mlp(model, index, nn::rms_norm_plain(residual, layer.post_attention_layernorm, eps));
  }
  const LayerConvolutions& weights = model.convolutions[index];
  const auto offsets = at::arange(hidden.size(0), blocks.anchors.options()).remainder(model.config.block_size);
  const ConvolutionUse outer(weights.attention, x, model.options.compute_dtype, /*plain_ops=*/true);
  const auto residual = outer.leave(attention(model, index, outer.enter(x, offsets), blocks, visible), offsets, hidden);
  const auto normed = nn::rms_norm_plain(residual, layer.post_attention_layernorm, eps);
  const ConvolutionUse inner(weights.mlp, normed, model.options.compute_dtype, /*plain_ops=*/true);
  return inner.leave(mlp(model, index, inner.enter(normed, offsets)), offsets, residual);
}

// mask_token_id everywhere, the anchor's token first. int64 [G*L]
torch::Tensor slot_ids(const BlockModel& model, const TrainBatch& batch, const torch::Tensor& anchors) {
  auto ids =
      at::full({anchors.size(0), model.config.block_size}, model.config.mask_token_id, batch.input_ids.options());
  ids.select(1, 0).copy_(batch.input_ids.index_select(0, anchors));
  return ids.flatten();
}

Blocks make_blocks(const BlockModel& model, const TrainBatch& batch, const torch::Tensor& anchors) {
  Blocks blocks{anchors};
  blocks.context = nn::rms_norm_plain(project(model, model.fc, 0, batch.aux_hidden_states.to(torch::kFloat32)),
                                      model.hidden_norm, model.config.layer.rms_norm_eps);
  const auto offsets = at::arange(model.config.block_size, anchors.options()).unsqueeze(0);
  const auto slots = (batch.position_ids.index_select(0, anchors).unsqueeze(1) + offsets).flatten();
  const torch::ScalarType rounding = batch.aux_hidden_states.scalar_type();
  blocks.keys = model.rope.angles(at::cat({batch.position_ids, slots}), rounding);
  blocks.queries = model.rope.angles(slots, rounding);
  return blocks;
}

}  // namespace

torch::Tensor block_states_plain(const BlockModel& model, const TrainBatch& batch,
                                 const std::vector<int64_t>& anchors) {
  const Blocks blocks = make_blocks(model, batch, nn::index_tensor(anchors, batch.input_ids.device()));
  auto hidden = at::embedding(model.frozen.embed_tokens, slot_ids(model, batch, blocks.anchors));
  for (size_t i = 0; i < model.layers.size(); ++i) {
    hidden = run_layer(model, i, hidden, blocks, visible_keys(model, batch, blocks.anchors, i));
  }
  return nn::rms_norm_plain(hidden, model.norm, model.config.layer.rms_norm_eps);
}

}  // namespace speculators
