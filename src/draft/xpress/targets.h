// What the passes of XPress read and are compared with, and what is reported of them.
// Source: reference algorithms.md 8b.3, 8b.5. Dims: G blocks, L block size, P pairs.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "draft/block/targets.h"
#include "draft/xpress/trainable.h"

namespace speculators {

// The data's token before each slot; before the anchor's own slot, where that predicts nothing, the one in front of the
// anchor in its document, else the anchor. [G*L]
std::vector<int64_t> forced_tokens(const XPressConfig& config, const BatchRows& rows,
                                   const std::vector<int64_t>& input_ids, const std::vector<int64_t>& anchors);
// What stands before each slot of a block in a free-running round: the token predicted for the slot in front, but
// nothing before the first predicting slot is the draft's to say. `forced`, `predicted` by slot [L], verifier ids.
std::vector<int64_t> round_tokens(const XPressConfig& config, const std::vector<int64_t>& forced,
                                  const std::vector<int64_t>& predicted);
// The data's token that each pair predicts. -1 where it lies behind the document's end, unless `compat_upstream`, which
// clamps to the packed row alone. [P]
std::vector<int64_t> data_labels(const BlockPlan& plan, const XPressConfig& config, const BatchRows& rows,
                                 const std::vector<int64_t>& input_ids, bool compat_upstream);

// Of one pass over all pairs.
struct PassSums {
  double loss = 0;
  std::array<double, 7> terms = {};  // weighted by position, by nn::LossKind
  double acceptance = 0, hits = 0;
};
struct XPressSums {
  PassSums forced;
  std::vector<PassSums> rounds;
  std::optional<PassSums> base;

  double total(const XPressTrainingOptions& options) const;
};

// loss, tf_loss, consistency_loss, consistency_round<j>_loss, base_anchor_loss, <term>_loss, accept_rate, accuracy,
// base_accept_rate.
std::map<std::string, MetricPair> xpress_metrics(const XPressTrainingOptions& options, const XPressSums& sums,
                                                 int64_t num_pairs);

// Zero loss with the same metrics, for a batch in which no slot is supervised. `parameter` carries the graph.
LossResult nothing_to_learn(const XPressTrainingOptions& options, const torch::Tensor& parameter);

}  // namespace speculators
