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

// The factor of each pair's element loss, from the (detached) element losses; not divided. Of whole blocks.
std::vector<float> position_weights(const BlockPlan& plan, const BlockConfig& config,
                                    const BlockTrainingOptions& options, const std::vector<float>& values);
// The same for the total: divided by pairs + kLossDenominatorEps.
constexpr double kLossDenominatorEps = 1e-5;
std::vector<float> block_weights(const BlockPlan& plan, const BlockConfig& config, const BlockTrainingOptions& options,
                                 const std::vector<float>& values);
// exp(-distance / gamma) of each pair, the distance counted from the first predicting slot; not divided.
std::vector<float> fixed_decays(const BlockPlan& plan, const BlockConfig& config, double gamma);

// Over blocks with a supervised slot from `first_slot` on: 1 for the bonus token and the length of the unbroken run of
// supervised hits that begins with `first_slot`. `hits`: by pair.
MetricPair accepted_length(const BlockPlan& plan, int64_t first_slot, const std::vector<uint8_t>& hits);
// accept_rate and accept_len under rejection sampling. `acceptance` by pair: the chance 1 - TV.
std::map<std::string, MetricPair> acceptance_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                     const std::vector<float>& acceptance);
// A product over the slots of a block from the first that predicts; a slot that is not supervised ends it.
class PrefixProduct {
 public:
  explicit PrefixProduct(int64_t first_slot) : next_slot_(first_slot) {}
  double multiply(int64_t slot, double factor) {
    value_ = slot == next_slot_ ? value_ * factor : 0.0;
    ++next_slot_;
    return value_;
  }

 private:
  int64_t next_slot_;
  double value_ = 1.0;
};
// A mean that is 0 of nothing.
inline MetricPair mean_of(double sum, double count) { return {sum, count > 1.0 ? count : 1.0}; }

// loss, <term>_loss, full_acc, position_<s>_acc, eal.
std::map<std::string, MetricPair> block_metrics(const BlockPlan& plan, const BlockConfig& config,
                                                const nn::LossSpec& spec, const nn::PairOutcome& outcome,
                                                const std::vector<float>& weights);

}  // namespace speculators
