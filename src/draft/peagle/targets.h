// Which slots a P-EAGLE batch trains on. Depth 0 are the packed rows themselves. A slot of depth d >= 1 belongs to the
// chain of its anchor, knows nothing but its distance, and is compared with target row anchor + d. Each depth keeps a
// part of the chains of the depth before ("conditional drop").
// Source: reference algorithms.md 6.2, 6.5. Dims: T packed tokens, P pairs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "draft/peagle/trainable.h"
#include "draft/training/batch_rows.h"
#include "nn/pair_losses.h"

namespace speculators {

// Depth 1 of a chain lies on the row behind its anchor; upstream's chain of row 0 has the anchor -1.
struct DepthSlot {
  int64_t anchor = 0, depth = 0;
  int64_t row() const { return anchor + depth; }  // of token, position and target
  friend bool operator==(const DepthSlot&, const DepthSlot&) = default;
};

// Slots of depth 1, 2, ..., ascending within a depth; all rows supervised, every chain without gaps. `seed` decides all
// draws: upstream's sequence of torch.randperm on a CPU. `compat_upstream`: chains run on into the next document.
std::vector<DepthSlot> draw_slots(const BatchRows& rows, const SlotSampling& sampling, bool compat_upstream,
                                  uint64_t seed);

// What enters the loss: supervised rows at depth 0, then `slots`. [P]
std::vector<DepthSlot> loss_slots(const BatchRows& rows, const std::vector<DepthSlot>& slots);

// The factor of each element loss in the total loss: one mean over all pairs.
double slot_weight(int64_t num_pairs);

// loss, <term>_loss, full_acc and position_<d>_acc; `outcome` is of `pairs`, in their order.
std::map<std::string, MetricPair> slot_metrics(const std::vector<DepthSlot>& pairs, int64_t num_depths,
                                               const nn::PairOutcome& outcome, const nn::LossSpec& spec);

}  // namespace speculators
