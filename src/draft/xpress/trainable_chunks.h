// Whole blocks whose logits are worked out together. Internal to xpress/.
// Dims: n rows of a chunk: the slots of its blocks from the first that predicts to the last that is supervised.
#pragma once

#include <cstdint>
#include <vector>

#include "draft/block/targets.h"

namespace speculators {

struct BlockChunk {
  int64_t begin = 0, end = 0;      // blocks
  BlockPlan plan;                  // their pairs
  size_t first_pair = 0;           // of them, among all
  std::vector<int64_t> slots;      // [n] block * L + offset
  std::vector<int64_t> pairs;      // [n] index into plan; -1: not supervised, read by the rounds only
  std::vector<int64_t> targets;    // distinct rows of the verifier
  std::vector<int64_t> target_of;  // [n] index into targets
  int64_t num_rows() const { return static_cast<int64_t>(slots.size()); }
};

// All blocks of `plan`, each of which has a pair, in order. As many to a chunk as `chunk_bytes` of fp32 logits take,
// but 64 rows if they are there.
std::vector<BlockChunk> make_chunks(const BlockPlan& plan, const BlockConfig& config, int64_t chunk_bytes);

}  // namespace speculators
