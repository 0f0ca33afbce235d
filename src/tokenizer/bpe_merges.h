// The merge table of a byte-pair encoding and the two ways to apply it to one word: a scan for short words and a heap
// for long ones. Both merge the pair of lowest rank first, the leftmost one among equals. Const methods are
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace speculators {

struct Merge {
  static constexpr uint32_t kNever = UINT32_MAX;
  uint32_t rank = kNever;
  int32_t id = -1;  // the token that the pair becomes
};

class MergeTable {
 public:
  void reserve(size_t num_merges);
  // A pair given twice keeps the later rank.
  void set(int32_t left, int32_t right, Merge merge);
  // rank kNever when the pair does not merge.
  Merge find(int32_t left, int32_t right) const {
    const uint64_t key = pair_key(left, right);
    const uint64_t hash = hash_of(key);
    if (!(filter_[hash >> filter_shift_] >> (hash & 63) & 1)) return {};
    for (size_t at = hash >> shift_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.key == key) return slot.merge;
      if (slot.key == kEmpty) return {};
    }
  }
  size_t size() const { return num_merges_; }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;  // no pair has two negative ids
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static uint64_t pair_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  static uint64_t hash_of(uint64_t key) {
    const uint64_t hash = key * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
  }
  void rehash(size_t num_slots);
  void insert(const Slot& slot);

  std::vector<Slot> slots_ = std::vector<Slot>(32);
  size_t mask_ = 31;
  int shift_ = 59;
  // A bit per hash, four to a slot: most pairs do not merge, and this much fits into a near cache.
  std::vector<uint64_t> filter_ = std::vector<uint64_t>(2);
  int filter_shift_ = 63;
  size_t num_merges_ = 0;
};

// Working memory of merge_word, reused between words. One per thread.
struct MergeScratch {
  std::vector<int32_t> ids;  // in: the initial symbols of the word; out: its tokens
  std::vector<Merge> merges;
  struct Link {
    int32_t previous;
    int32_t next;
    int32_t candidate;  // the token that this symbol and its successor become, or -1
  };
  struct Candidate {
    uint64_t rank_and_position;
    int32_t id;
  };
  std::vector<Link> links;
  std::vector<Candidate> heap;
};

// Words of at most this many symbols are scanned: quadratic, but without a heap's overhead.
constexpr size_t kMaxScannedSymbols = 48;

// Merges `scratch.ids` in place until no pair is left that merges. Up to 2^31 - 1 symbols.
void merge_word(const MergeTable& table, MergeScratch& scratch);
void merge_by_scan(const MergeTable& table, MergeScratch& scratch);
void merge_by_heap(const MergeTable& table, MergeScratch& scratch);

}  // namespace speculators
