#include "tokenizer/bpe_merges.h"

#include <algorithm>
#include <bit>

namespace speculators {

void MergeTable::reserve(size_t num_merges) { rehash(std::bit_ceil(num_merges * 2 + 2)); }

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  if ((num_merges_ + 1) * 2 > slots_.size()) rehash(slots_.size() * 2);
  insert({pair_key(left, right), merge});
}

void MergeTable::insert(const Slot& slot) {
  const uint64_t hash = hash_of(slot.key);
  size_t at = hash >> shift_;
  while (slots_[at].key != kEmpty && slots_[at].key != slot.key) at = (at + 1) & mask_;
  num_merges_ += slots_[at].key == kEmpty;
  slots_[at] = slot;
  filter_[hash >> filter_shift_] |= uint64_t{1} << (hash & 63);
}

void MergeTable::rehash(size_t num_slots) {
  if (num_slots <= slots_.size()) return;
  std::vector<Slot> old(num_slots);
  old.swap(slots_);
  mask_ = num_slots - 1;
  shift_ = 64 - std::countr_zero(num_slots);
  filter_.assign(num_slots * 4 / 64, 0);
  filter_shift_ = 64 - std::countr_zero(filter_.size());
  num_merges_ = 0;
  for (const Slot& slot : old) {
    if (slot.key != kEmpty) insert(slot);
  }
}

void merge_word(const MergeTable& table, MergeScratch& scratch) {
  if (scratch.ids.size() <= kMaxScannedSymbols) {
    merge_by_scan(table, scratch);
  } else {
    merge_by_heap(table, scratch);
  }
}

void merge_by_scan(const MergeTable& table, MergeScratch& scratch) {
  size_t size = scratch.ids.size();
  if (size < 2) return;
  scratch.merges.resize(size);
  int32_t* const ids = scratch.ids.data();
  Merge* const merges = scratch.merges.data();  // merges[i] joins ids[i] and ids[i + 1]
  for (size_t i = 0; i + 1 < size; ++i) merges[i] = table.find(ids[i], ids[i + 1]);
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) best = merges[i].rank < merges[best].rank ? i : best;
    if (merges[best].rank == Merge::kNever) break;
    ids[best] = merges[best].id;
    std::copy(ids + best + 2, ids + size, ids + best + 1);
    std::copy(merges + best + 2, merges + size, merges + best + 1);
    --size;
    if (best > 0) merges[best - 1] = table.find(ids[best - 1], ids[best]);
    if (best + 1 < size) merges[best] = table.find(ids[best], ids[best + 1]);
  }
  scratch.ids.resize(size);
}

namespace {

// The state of one heap run: a linked list of live symbols and the candidates, some of them outdated.
class HeapMerger {
 public:
  HeapMerger(const MergeTable& table, MergeScratch& scratch)
      : table_(table), ids_(scratch.ids), links_(scratch.links), heap_(scratch.heap) {}

  void run() {
    const auto size = static_cast<int32_t>(ids_.size());
    links_.resize(ids_.size());
    heap_.clear();
    for (int32_t i = 0; i < size; ++i) {
      links_[i] = {i - 1, i + 1 < size ? i + 1 : -1, -1};
      if (i + 1 < size) consider(i, /*push_heap=*/false);
    }
    std::make_heap(heap_.begin(), heap_.end(), later);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const MergeScratch::Candidate best = heap_.back();
      heap_.pop_back();
      const auto position = static_cast<int32_t>(best.rank_and_position & UINT32_MAX);
      if (links_[position].candidate == best.id) merge_at(position, best.id);
    }
    size_t kept = 0;
    for (int32_t i = 0; i >= 0 && size > 0; i = links_[i].next) ids_[kept++] = ids_[i];
    ids_.resize(kept);
  }

 private:
  static bool later(const MergeScratch::Candidate& a, const MergeScratch::Candidate& b) {
    return a.rank_and_position > b.rank_and_position;
  }

  // Looks up the pair that starts at `position` and enters it.
  void consider(int32_t position, bool push_heap) {
    MergeScratch::Link& link = links_[position];
    const Merge merge = table_.find(ids_[position], ids_[link.next]);
    link.candidate = merge.id;
    if (merge.rank == Merge::kNever) return;
    heap_.push_back({static_cast<uint64_t>(merge.rank) << 32 | static_cast<uint32_t>(position), merge.id});
    if (push_heap) std::push_heap(heap_.begin(), heap_.end(), later);
  }

  void merge_at(int32_t position, int32_t id) {
    MergeScratch::Link& left = links_[position];
    MergeScratch::Link& right = links_[left.next];
    ids_[position] = id;
    left.next = right.next;
    left.candidate = right.candidate = -1;
    if (right.next >= 0) {
      links_[right.next].previous = position;
      consider(position, true);
    }
    if (left.previous >= 0) consider(left.previous, true);
  }

  const MergeTable& table_;
  std::vector<int32_t>& ids_;
  std::vector<MergeScratch::Link>& links_;
  std::vector<MergeScratch::Candidate>& heap_;
};

}  // namespace

void merge_by_heap(const MergeTable& table, MergeScratch& scratch) { HeapMerger(table, scratch).run(); }

}  // namespace speculators
