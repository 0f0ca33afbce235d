#include "draft/xpress/weights.h"

#include "draft/block/weights.h"

namespace speculators {

WeightTable xpress_weights(const XPressConfig& config) {
  WeightTable table = block_weight_table(config);
  const int64_t hidden = config.layer.hidden_size, rank = config.xpress_rank, width = config.mlp_width();
  table.push_back({"refiner_head.token_embed.weight", {config.layer.vocab_size, rank}});
  table.push_back({"refiner_head.down_h.weight", {rank, hidden}});
  table.push_back({"refiner_head.down_g.weight", {rank, hidden}});
  table.push_back({"refiner_head.in_proj.weight", {rank, 3 * rank}});
  table.push_back({"refiner_head.mix_l", {rank, config.block_size, config.block_size}});
  table.push_back({"refiner_head.mlp_gate.weight", {width, rank}});
  table.push_back({"refiner_head.mlp_up.weight", {width, rank}});
  table.push_back({"refiner_head.mlp_down.weight", {rank, width}});
  table.push_back({"refiner_head.readout.weight", {config.draft_vocab_size, rank}});
  return table;
}

}  // namespace speculators
