#include "draft/dflash2/weights.h"

#include <fmt/format.h>

#include "draft/block/weights.h"

namespace speculators {

WeightTable dflash2_weights(const DFlash2Config& config) {
  WeightTable table = block_weight_table(config);
  const int64_t hidden = config.layer.hidden_size, vocab = config.layer.vocab_size, rank = config.selector_rank;
  for (int64_t i = 0; i < config.layer.num_hidden_layers; ++i) {
    for (const char* sublayer : {"attention_conv", "mlp_conv"}) {
      const std::string prefix = fmt::format("layers.{}.{}.", i, sublayer);
      table.push_back({prefix + "base_kernel", {2, config.conv_kernel_size, hidden}});
      table.push_back({prefix + "kernel_projection.weight", {config.num_coefficients(), hidden}});
    }
  }
  table.push_back({"candidate_selector.predecessor_codebook", {vocab, rank}});
  table.push_back({"candidate_selector.successor_codebook", {vocab, rank}});
  table.push_back({"candidate_selector.hidden_projection.weight", {rank, hidden}});
  return table;
}

}  // namespace speculators
