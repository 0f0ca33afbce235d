// DSpark config: the block family's fields and those of the Markov and the confidence head.
// Source: reference algorithms.md 2.5, 8. Dims: D hidden size, r rank of the Markov head.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "draft/block/config.h"

namespace speculators {

enum class MarkovHeadType { kVanilla, kGated, kRnn };

struct DSparkConfig : BlockConfig {
  DSparkConfig() { sample_from_anchor = true; }
  explicit DSparkConfig(BlockConfig block) : BlockConfig(std::move(block)) {}

  int64_t markov_rank = 256;  // r; 0: no Markov head
  MarkovHeadType markov_head_type = MarkovHeadType::kVanilla;
  bool enable_confidence_head = true;
  bool confidence_head_with_markov = true;  // the confidence head reads the token before a slot too

  bool has_markov_head() const { return markov_rank > 0; }
  bool is_recurrent() const { return has_markov_head() && markov_head_type == MarkovHeadType::kRnn; }
  int64_t num_confidence_inputs() const { return layer.hidden_size + (confidence_head_with_markov ? markov_rank : 0); }
};

DSparkConfig parse_dspark_config(const Json& config, const ModelConfig& layer, const std::string& place);
Json to_json(const DSparkConfig& config);

// "vanilla", "gated", "rnn"; none for another name.
std::optional<MarkovHeadType> find_markov_head_type(std::string_view name);

}  // namespace speculators
