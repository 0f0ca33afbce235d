// Which rows an MTP batch trains on. At step k row i reads token x_{i+k+1} and its own state of step k-1 (step 0: the
// verifier's last hidden state), sees the rows of its document up to itself at the same step, and predicts x_{i+k+2}.
// Positions do not move on with k. Source: reference algorithms.md 9.2. Dims: T packed tokens.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "draft/trainable.h"
#include "draft/training/batch_rows.h"

namespace speculators {

// Rows of the batch, ascending. labelled is part of computed, which is part of context.
struct MtpStep {
  std::vector<int64_t> context;   // give keys and values: a document's rows up to the last computed one
  std::vector<int64_t> computed;  // go through the whole layer: in the loss, or read by the next step
  std::vector<int64_t> labelled;  // in the loss
};

struct MtpPlan {
  std::vector<int64_t> document_first;  // [T] first row of each row's document
  std::vector<MtpStep> steps;           // [K]; the last ones are empty when no document is long enough
  int64_t num_labelled() const;
};

// `compat_upstream`: documents begin where positions do not go on, a label may lie in the next document, and every step
// is cut to the rows that have a label at the last one. Otherwise documents neither read nor predict each other's
// tokens.
MtpPlan plan_mtp_steps(const BatchRows& rows, const std::vector<int64_t>& positions, int64_t num_steps,
                       bool compat_upstream);

inline int64_t token_row(int64_t row, int64_t step) { return row + step + 1; }
inline int64_t label_row(int64_t row, int64_t step) { return row + step + 2; }

// beta^k, scaled to a sum of 1. [num_steps]
std::vector<double> mtp_step_weights(double beta, int64_t num_steps);
// The factor of each labelled row's cross entropy in the total loss, step behind step.
std::vector<float> mtp_row_weights(const MtpPlan& plan, const std::vector<double>& step_weights);

// `values` and `match` are of the labelled rows, step behind step. loss, loss_step_<k> (weighted) and acc_step_<k>.
std::map<std::string, MetricPair> mtp_metrics(const MtpPlan& plan, const std::vector<float>& row_weights,
                                              const std::vector<float>& values, const std::vector<uint8_t>& match);

}  // namespace speculators
