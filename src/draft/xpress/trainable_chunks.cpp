#include "draft/xpress/trainable_chunks.h"

#include <algorithm>
#include <map>

namespace speculators {
namespace {

constexpr int64_t kFewestRows = 64;

// One chunk while it grows.
class ChunkBuilder {
 public:
  ChunkBuilder(int64_t block, size_t first_pair) { chunk_.begin = block, chunk_.first_pair = first_pair; }

  int64_t num_rows() const { return chunk_.num_rows(); }
  BlockChunk take() { return std::move(chunk_); }

  // The pairs [begin, end) of `plan` are one block's.
  void add_block(const BlockPlan& plan, const BlockConfig& config, size_t begin, size_t end) {
    const int64_t block = plan.pairs[begin].block;
    chunk_.end = block + 1;
    for (int64_t offset = config.first_predicting_slot(); begin < end; ++offset) {
      const BlockPair& pair = plan.pairs[begin];  // this slot's or, where it has none, the next one's
      const bool is_pair = pair.offset == offset;
      chunk_.slots.push_back(block * config.block_size + offset);
      chunk_.pairs.push_back(is_pair ? static_cast<int64_t>(chunk_.plan.pairs.size()) : -1);
      chunk_.target_of.push_back(index_of(pair.target));
      if (!is_pair) continue;
      chunk_.plan.pairs.push_back(pair);
      ++begin;
    }
  }

 private:
  int64_t index_of(int64_t target) {
    const auto [entry, is_new] = target_index_.try_emplace(target, static_cast<int64_t>(chunk_.targets.size()));
    if (is_new) chunk_.targets.push_back(target);
    return entry->second;
  }

  BlockChunk chunk_;
  std::map<int64_t, int64_t> target_index_;
};

}  // namespace

std::vector<BlockChunk> make_chunks(const BlockPlan& plan, const BlockConfig& config, int64_t chunk_bytes) {
  const int64_t row_bytes = config.draft_vocab_size * static_cast<int64_t>(sizeof(float));
  const int64_t most_rows = std::max(kFewestRows, chunk_bytes / row_bytes);
  std::vector<BlockChunk> chunks;
  ChunkBuilder builder(0, 0);
  for (size_t begin = 0, end = 0; begin < plan.pairs.size(); begin = end) {
    end = plan.end_of_block(begin);
    const int64_t num_slots = plan.pairs[end - 1].offset + 1 - config.first_predicting_slot();
    if (builder.num_rows() > 0 && builder.num_rows() + num_slots > most_rows) {
      chunks.push_back(builder.take());
      builder = ChunkBuilder(plan.pairs[begin].block, begin);
    }
    builder.add_block(plan, config, begin, end);
  }
  if (builder.num_rows() > 0) chunks.push_back(builder.take());
  return chunks;
}

}  // namespace speculators
