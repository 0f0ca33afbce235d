#include "draft/block/trainable_model.h"

#include <fmt/format.h>

#include <limits>

#include "base/errors.h"
#include "checkpoint/rotary_frequencies.h"
#include "draft/layer_checks.h"
#include "draft/training/parameters.h"

namespace speculators {

void check_block_options(const BlockTrainingOptions& options) {
  if (options.max_anchors < 1) throw UsageError("--max-anchors: expected at least 1");
  if (options.decay_gamma <= 0) throw UsageError("--dflash-decay-gamma: expected more than 0");
  if (options.position_weight != PositionWeight::kDPace) return;
  if (!options.loss.is_cross_entropy_only()) {
    throw UsageError(
        "--per-position-loss-weight dpace: expected --loss-fn ce, found another; use fixed-exp-decay or ce");
  }
  if (options.dpace_alpha <= 0 || options.dpace_alpha > 1)
    throw UsageError("--dpace-alpha: expected a number in (0, 1]");
}

bool BlockModel::is_sliding(size_t layer) const {
  return speculators::is_sliding(config.layer, static_cast<int64_t>(layer)) && config.layer.sliding_window.has_value();
}

BlockVisibility BlockModel::visibility(size_t layer) const {
  return {is_sliding(layer) ? config.layer.sliding_window : std::nullopt, is_causal(layer)};
}

int64_t BlockModel::widest_window() const {
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!is_sliding(i)) return std::numeric_limits<int64_t>::max();
  }
  return *config.layer.sliding_window;
}

BlockModel make_block_model(const BlockConfig& config, const BlockTrainingOptions& options, FrozenTensors frozen,
                            at::Generator& generator) {
  BlockModel model{config, options, std::move(frozen)};
  const int64_t hidden = config.layer.hidden_size;
  const RotaryFrequencies frequencies = rotary_frequencies(config.layer);
  model.rope = nn::Rope(frequencies.values, frequencies.attention_factor);
  model.fc = nn::LinearGroup(config.num_aux() * hidden, {hidden}, /*has_bias=*/false, generator);
  model.hidden_norm = nn::make_norm_parameter(hidden);
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    model.layers.emplace_back(layer_shape(config.layer, /*has_qk_norms=*/true), generator);
  }
  model.norm = nn::make_norm_parameter(hidden);
  return model;
}

void visit_parameters(BlockModel& model, const nn::ParameterVisitor& visit) {
  visit("fc.weight", model.fc.weight(0));
  visit("hidden_norm.weight", model.hidden_norm);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const std::string prefix = fmt::format("layers.{}.", i);
    visit_parameters(model.layers[i], prefix, visit);
    if (!model.convolutions.empty()) visit_parameters(model.convolutions[i], prefix, visit);
  }
  visit("norm.weight", model.norm);
}

BatchRows read_batch_rows(const BlockModel& model, const TrainBatch& batch) {
  const int64_t hidden_size = model.config.layer.hidden_size;
  return read_batch_rows(batch, model.config.num_aux() * hidden_size, hidden_size);
}

BlockRows make_block_rows(const BlockModel& model, const TrainBatch& batch, BlockPlan plan, QuerySlots queries) {
  const BlockRowsRequest request{model.config.block_size, model.config.mask_token_id, model.widest_window(), queries};
  return make_block_rows(read_batch_rows(model, batch), host_values(batch.input_ids), std::move(plan), request);
}

}  // namespace speculators
