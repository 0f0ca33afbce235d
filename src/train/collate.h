// Packing documents into one training row. Source: reference algorithms.md 12.5.
// Dims: T packed tokens (padding included), A aux layers, Dv verifier hidden size. Safe from any thread.
#pragma once

#include <torch/types.h>

#include <vector>

#include "draft/train_batch.h"

namespace speculators {

// Copies documents one behind the other into a row of `length`, the last truncated, those after it left out; the rest
// is padding (0 everywhere, document -1). Hidden states become `compute_dtype`. An all-padding row needs one empty
// document to know the widths. Throws ShapeError when there is no document or their shapes disagree.
TrainBatch pack_documents(const std::vector<TrainDocument>& documents, int64_t length,
                          torch::Dtype compute_dtype = torch::kFloat32);

// The same batch on `device`; hidden states keep their dtype.
TrainBatch to_device(TrainBatch batch, torch::Device device);

}  // namespace speculators
