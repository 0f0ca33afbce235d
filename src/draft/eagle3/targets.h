// Which rows an EAGLE-3 batch trains on: at TTT step t the chain that started at row j is compared with target row j +
// t. Source: reference algorithms.md 5.4, 5.5. Dims: T packed tokens.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "draft/trainable.h"
#include "draft/training/batch_rows.h"
#include "nn/pair_losses.h"

namespace speculators {

// One row of draft logits and the target row it is compared with.
struct ChainPair {
  int64_t row = 0;      // where the chain started
  int64_t step = 0;     // t; the target row is row + step
  bool in_loss = true;  // false: looked at only because a later step's accuracy asks whether the chain was right so far
  int64_t target() const { return row + step; }
};

struct ChainPlan {
  std::vector<int64_t> rows;            // rows that start a chain: longest chains first, then ascending
  std::vector<int64_t> num_active;      // [ttt_steps]: the first n of `rows` are computed at step t
  std::vector<ChainPair> pairs;         // step by step, in the order of `rows`
  std::vector<int64_t> num_loss_pairs;  // [ttt_steps]
};

// `compat_upstream`: a chain runs on into the next document, as upstream's does. Otherwise it ends with its document.
ChainPlan plan_chains(const BatchRows& rows, int64_t ttt_steps, bool compat_upstream);

// `outcome` is of plan.pairs, in their order.
// loss_<t>, <term>_loss_<t>, full_acc_<t>, cond_acc_<t> and loss. `decay` is the loss weight per step.
std::map<std::string, MetricPair> chain_metrics(const ChainPlan& plan, const BatchRows& rows,
                                                const nn::PairOutcome& outcome, const nn::LossSpec& spec, double decay,
                                                bool compat_upstream);

// The factor of each pair's element loss in the total loss: decay^t / (loss pairs of step t + 1e-5), 0 outside the
// loss.
std::vector<float> chain_weights(const ChainPlan& plan, double decay);

}  // namespace speculators
