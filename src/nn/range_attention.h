// Attention of query rows over a range of base keys plus a few keys of their own, without a dense mask. EAGLE's chains
// (base rows up to the start, own earlier steps) and DFlash's blocks (rows before the anchor, own block) are both this.
// Memory is linear in rows; differentiable. CPU fp32. Source: reference algorithms.md 5.4, 7.4, 23.
// Dims: R queries, C base keys, O own keys, N heads, Nk key/value heads, H head dim.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "nn/kernels/row_kernels.h"

namespace speculators::nn {

struct RangeAttentionPlan {
  std::vector<int64_t> first, last;  // [R] query r sees base keys [first[r], last[r])
  std::vector<int64_t> own_begin;    // [R+1] query r sees own keys own_index[own_begin[r]] ...
  std::vector<int64_t> own_index;
  // Queries by group: no key, base or own, is seen from two groups. Ascending ranges within a group.
  std::vector<AttentionTask> tasks;
};

struct KeysValues {
  torch::Tensor keys, values;  // [C, Nk*H] each; rows may be strided
};

// q [R, N*H]; `own` undefined tensors when no query has own keys. Scale 1/sqrt(H). -> [R, N*H]
torch::Tensor range_attention(const torch::Tensor& q, const KeysValues& base, const KeysValues& own,
                              const AttentionShape& shape, std::shared_ptr<const RangeAttentionPlan> plan);

}  // namespace speculators::nn
