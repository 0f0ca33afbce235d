// TrainBatch: documents packed into one row (by train/collate.h), as handed to a draft's forward; the third struct of
// the spine. Source: reference algorithms.md 12.5. Dims: T packed tokens (padding included), A aux layers, Dv verifier
// hidden size.
#pragma once

#include <torch/types.h>

#include <vector>

namespace speculators {

// One sample before packing: rows of one document.
struct TrainDocument {
  torch::Tensor input_ids;           // int64 [n]
  torch::Tensor aux_hidden_states;   // [n, A*Dv], as stored (bf16) or compute dtype; rows may be strided
  torch::Tensor last_hidden_states;  // [n, Dv]
  torch::Tensor loss_mask;           // bool [n]
  torch::Tensor position_ids;        // int64 [n], from 0
};

struct TrainBatch {
  torch::Tensor input_ids;           // int64 [T]
  torch::Tensor aux_hidden_states;   // [T, A*Dv]
  torch::Tensor last_hidden_states;  // [T, Dv], before the final norm
  torch::Tensor loss_mask;           // bool [T]
  torch::Tensor position_ids;        // int64 [T], document-local
  torch::Tensor document_ids;        // int64 [T], 0,1,...; -1 is padding
  std::vector<int64_t> sample_rows;  // data set rows in this batch, for messages
};

}  // namespace speculators
