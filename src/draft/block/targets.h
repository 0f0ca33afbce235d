// Anchors and slots of a batch of blocks: which blocks are drawn, what each slot is compared with, how it is weighted.
// Source: reference algorithms.md 7.2, 7.5, 7.6, 10.3, 10.4. Dims: T packed tokens, G anchors, L block size.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "draft/block/config.h"
#include "draft/block/trainable_options.h"
#include "draft/trainable.h"
#include "draft/training/batch_rows.h"
#include "nn/pair_losses.h"

namespace speculators {

// A slot of a block that predicts and is supervised.
struct BlockPair {
  int64_t block = 0;   // index into the anchors
  int64_t offset = 0;  // slot within the block
  int64_t target = 0;  // row of the verifier state it is compared with
};

struct BlockPlan {
  std::vector<int64_t> anchors;  // rows, ascending
  std::vector<BlockPair> pairs;  // block by block, slots ascending
  // One behind the last pair of the block that begins with pair `begin`.
  size_t end_of_block(size_t begin) const;
};

// At most max_anchors supervised rows, drawn without repetition by `seed`, ascending. Upstream leaves out the last L
// rows of the packed row; by default the rows are left out whose block has no supervised slot in their own document.
std::vector<int64_t> draw_anchors(const BatchRows& rows, const BlockConfig& config, const BlockTrainingOptions& options,
                                  uint64_t seed);
// `compat_upstream`: slots that run over the end of the document count as far as the packed row's mask says so.
BlockPlan plan_blocks(const BatchRows& rows, const BlockConfig& config, std::vector<int64_t> anchors,
                      bool compat_upstream);

// The factor of each pair's element loss in the total, from the (detached) element losses; divided by pairs + 1e-5.
std::vector<float> block_weights(const BlockPlan& plan, const BlockConfig& config, const BlockTrainingOptions& options,
                                 const std::vector<float>& values);
// exp(-distance / gamma) of each pair, the distance counted from the first predicting slot; not divided.
std::vector<float> fixed_decays(const BlockPlan& plan, const BlockConfig& config, double gamma);

// loss, <term>_loss, full_acc, position_<s>_acc, eal.
std::map<std::string, MetricPair> block_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                const nn::LossSpec& spec, const nn::PairOutcome& outcome,
                                                const std::vector<float>& weights);

}  // namespace speculators
