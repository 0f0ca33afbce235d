#include "draft/dspark/weights.h"

#include "draft/block/weights.h"

namespace speculators {

WeightTable dspark_weights(const DSparkConfig& config) {
  WeightTable table = block_weight_table(config);
  const int64_t hidden = config.layer.hidden_size, rank = config.markov_rank;
  const auto linear = [&](const std::string& name, int64_t outputs, int64_t inputs) {
    table.push_back({name + ".weight", {outputs, inputs}});
    table.push_back({name + ".bias", {outputs}});
  };
  if (config.has_markov_head()) {
    table.push_back({"markov_head.markov_w1.weight", {config.layer.vocab_size, rank}});
    table.push_back({"markov_head.markov_w2.weight", {config.draft_vocab_size, rank}});
    if (config.markov_head_type == MarkovHeadType::kGated) linear("markov_head.gate_proj", rank, hidden + rank);
    if (config.is_recurrent()) linear("markov_head.joint_proj", 3 * rank, 2 * rank + hidden);
  }
  if (config.enable_confidence_head) linear("confidence_head.proj", 1, config.num_confidence_inputs());
  return table;
}

}  // namespace speculators
