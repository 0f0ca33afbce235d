#include <ATen/ops/embedding.h>

#include <numeric>
#include <optional>

#include "draft/block/trainable_model.h"
#include "draft/training/layer_use.h"
#include "nn/fused_ops.h"

namespace speculators {
namespace {

class BlockPass {
 public:
  BlockPass(const BlockModel& model, const TrainBatch& batch, const BlockRows& rows)
      : model_(model), batch_(batch), rows_(rows), eps_(model.config.layer.rms_norm_eps) {
    settings_ = {eps_, model.config.layer.hidden_act, model.options.compute_dtype};
    const auto rounding = batch.aux_hidden_states.scalar_type();
    context_angles_ = model.rope.angles(batch.position_ids.index_select(0, rows.context.index()), rounding);
    slot_angles_ = model.rope.angles(slot_positions(), rounding);
    query_angles_ = model.rope.angles(slot_positions().index_select(0, nn::index_tensor(rows.queries)), rounding);
  }

  // Normed states of the query slots. [Q, D]
  torch::Tensor run() {
    const auto context = nn::rms_norm(project_features(), model_.hidden_norm, eps_);  // c [C, D]
    torch::Tensor hidden;
    for (size_t i = 0; i < model_.layers.size(); ++i) hidden = run_layer(i, context, hidden);
    return nn::rms_norm(hidden, model_.norm, eps_);
  }

 private:
  // Document-local: the anchor's position and on. int64 [G*L]
  torch::Tensor slot_positions() const {
    const std::vector<int64_t> base = host_values(batch_.position_ids);
    std::vector<int64_t> positions;
    for (size_t slot = 0; slot < rows_.slot_rows.size(); ++slot) {
      const auto offset = static_cast<int64_t>(slot) % model_.config.block_size;
      positions.push_back(base[rows_.slot_rows[slot] - offset] + offset);
    }
    return nn::index_tensor(positions);
  }

  torch::Tensor project_features() const {
    nn::FixedColumns columns{batch_.aux_hidden_states.index_select(0, rows_.context.index()).to(torch::kFloat32)};
    return nn::LinearUse(model_.fc, std::move(columns), model_.options.compute_dtype).apply_fixed({}, {});
  }

  std::vector<int64_t> query_slots(size_t layer) const {
    if (layer + 1 == model_.layers.size()) return rows_.queries;
    std::vector<int64_t> all(rows_.slot_rows.size());
    std::iota(all.begin(), all.end(), int64_t{0});
    return all;
  }

  // Layer 0 reads embeddings, which are frozen and of few distinct tokens: its projections are computed once per token.
  torch::Tensor run_layer(size_t index, const torch::Tensor& context, const torch::Tensor& hidden) {
    const bool is_last = index + 1 == model_.layers.size();
    const auto slots = query_slots(index);
    const auto& angles = is_last ? query_angles_ : slot_angles_;
    if (!model_.convolutions.empty()) {
      return index == 0 ? first_convolved_layer(context, slots, angles)
                        : later_convolved_layer(index, context, hidden, slots, angles);
    }
    return index == 0 ? first_layer(context, slots, angles) : later_layer(index, context, hidden, slots, angles);
  }

  torch::Tensor first_layer(const torch::Tensor& context, const std::vector<int64_t>& slots,
                            const nn::RopeAngles& angles) {
    const nn::DecoderLayer& layer = model_.layers[0];
    const auto embedded = at::embedding(model_.frozen.embed_tokens, nn::index_tensor(rows_.tokens));  // [U, D]
    const nn::FixedColumns tokens{nn::normalise(embedded, eps_), {layer.input_layernorm}};
    std::vector<int64_t> query_tokens;
    for (const int64_t slot : slots) query_tokens.push_back(rows_.slot_tokens[slot]);
    LayerUse use(layer, settings_, tokens, {});
    const auto normed =
        nn::rms_norm(embedded, layer.input_layernorm, eps_);  // the few tokens again, for keys and values
    const auto q = use.q.apply_fixed(nn::index_tensor(query_tokens), {});
    const auto token_kv = use.kv.apply(normed);
    const auto own = use.keys_values(nn::repeat_rows(token_kv, nn::index_tensor(rows_.slot_tokens)), slot_angles_);
    const auto residual = embedded.index_select(0, nn::index_tensor(query_tokens));
    return finish(use, 0, q, {context, own, residual}, slots, angles);
  }

  // The same with convolutions: slots that are alike are convolved and projected once.
  torch::Tensor first_convolved_layer(const torch::Tensor& context, const std::vector<int64_t>& slots,
                                      const nn::RopeAngles& angles) {
    const nn::DecoderLayer& layer = model_.layers[0];
    const SublayerConvolution& weights = model_.convolutions[0].attention;
    const DistinctSlots distinct = make_distinct_slots(rows_, model_.config.block_size, weights.base_kernel.size(1));
    const auto embedded = at::embedding(model_.frozen.embed_tokens, nn::index_tensor(rows_.tokens));  // [U, D]
    const auto normed = nn::rms_norm(embedded, layer.input_layernorm, eps_);
    const auto tokens = nn::index_tensor(distinct.tokens);
    std::vector<int64_t> query_tokens, query_distinct;
    for (const int64_t slot : slots) {
      query_tokens.push_back(rows_.slot_tokens[slot]);
      query_distinct.push_back(distinct.of_slot[slot]);
    }
    ConvolutionUse convolution(weights, normed, settings_.compute_dtype);
    convolution.take_input_rows(tokens);
    convolution.take_output_rows(nn::index_tensor(query_tokens));
    const auto entered = convolution.enter(nn::repeat_rows(normed, tokens), nn::index_tensor(distinct.offsets));
    LayerUse use(layer, settings_);
    const auto kv = nn::repeat_rows(use.kv.apply(entered), nn::index_tensor(distinct.of_slot));
    const auto q = nn::repeat_rows(use.q.apply(entered), nn::index_tensor(query_distinct));
    const auto residual = embedded.index_select(0, nn::index_tensor(query_tokens));
    return finish(use, 0, q, {context, use.keys_values(kv, slot_angles_), residual}, slots, angles, &convolution);
  }

  torch::Tensor later_layer(size_t index, const torch::Tensor& context, const torch::Tensor& hidden,
                            const std::vector<int64_t>& slots, const nn::RopeAngles& angles) {
    const bool narrows = slots.size() != rows_.slot_rows.size();
    LayerUse use(model_.layers[index], settings_);
    const auto normed = nn::rms_norm(hidden, model_.layers[index].input_layernorm, eps_);
    const auto own = use.keys_values(use.kv.apply(normed), slot_angles_);
    const auto query_index = nn::index_tensor(slots);
    const auto q = use.q.apply(narrows ? nn::gather_rows(normed, query_index) : normed);
    return finish(use, index, q, {context, own, narrows ? nn::gather_rows(hidden, query_index) : hidden}, slots,
                  angles);
  }

  torch::Tensor later_convolved_layer(size_t index, const torch::Tensor& context, const torch::Tensor& hidden,
                                      const std::vector<int64_t>& slots, const nn::RopeAngles& angles) {
    const bool narrows = slots.size() != rows_.slot_rows.size();
    LayerUse use(model_.layers[index], settings_);
    const auto normed = nn::rms_norm(hidden, model_.layers[index].input_layernorm, eps_);
    ConvolutionUse convolution(model_.convolutions[index].attention, normed, settings_.compute_dtype);
    const auto entered = convolution.enter(normed, offsets_of(query_slots(index - 1)));
    const auto own = use.keys_values(use.kv.apply(entered), slot_angles_);
    const auto query_index = nn::index_tensor(slots);
    if (narrows) convolution.take_output_rows(query_index);
    const auto q = use.q.apply(narrows ? nn::gather_rows(entered, query_index) : entered);
    return finish(use, index, q, {context, own, narrows ? nn::gather_rows(hidden, query_index) : hidden}, slots, angles,
                  &convolution);
  }

  // In their blocks. int64 [slots]
  torch::Tensor offsets_of(std::vector<int64_t> slots) const {
    for (int64_t& slot : slots) slot %= model_.config.block_size;
    return nn::index_tensor(slots);
  }

  struct Streams {
    torch::Tensor context;   // [C, D]
    nn::KeysValues own;      // of every slot
    torch::Tensor residual;  // of the query slots
  };

  // `convolution`: around the attention, none without convolutions.
  torch::Tensor finish(LayerUse& use, size_t index, const torch::Tensor& q, const Streams& streams,
                       const std::vector<int64_t>& slots, const nn::RopeAngles& angles,
                       const ConvolutionUse* convolution = nullptr) {
    const auto base = use.keys_values(use.kv.apply(streams.context), context_angles_);
    const auto mixed =
        use.attend(use.queries(q, angles), base, streams.own,
                   block_attention_plan(rows_, slots, model_.config.block_size, model_.visibility(index)));
    if (!convolution) return use.finish(mixed, streams.residual);
    const auto offsets = offsets_of(slots);
    const auto attended = convolution->leave(use.attention_output(mixed), offsets, streams.residual);
    const auto normed = nn::rms_norm(attended, use.layer().post_attention_layernorm, eps_);
    const ConvolutionUse around_mlp(model_.convolutions[index].mlp, normed, settings_.compute_dtype);
    return around_mlp.leave(use.mlp(around_mlp.enter(normed, offsets)), offsets, attended);
  }

  const BlockModel& model_;
  const TrainBatch& batch_;
  const BlockRows& rows_;
  const double eps_;
  LayerSettings settings_;
  nn::RopeAngles context_angles_, slot_angles_, query_angles_;
};

}  // namespace

torch::Tensor block_states(const BlockModel& model, const TrainBatch& batch, const BlockRows& rows) {
  return BlockPass(model, batch, rows).run();
}

}  // namespace speculators
