#include "kernels/aligned.h"

#include <sys/mman.h>

#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

namespace speculators {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

// Untouched memory costs nothing, so a block may be larger than what will lie in it.
constexpr size_t kBlock = size_t{64} << 20;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

// Blocks of whole huge pages, filled from front to back.
class Blocks {
 public:
  void* allocate(size_t num_bytes) {
    const size_t rounded = round_up(num_bytes == 0 ? 1 : num_bytes, kCacheLine);
    const std::lock_guard lock(mutex_);
    if (open_ == nullptr || blocks_.at(open_).used + rounded > kBlock) {
      const size_t size = round_up(rounded, kHugePage);
      char* block = static_cast<char*>(allocate_aligned(size < kBlock ? kBlock : size));
      blocks_[block] = {};
      // What fills a block alone leaves the open one open.
      if (size >= kBlock) return take(block, rounded);
      open_ = block;
    }
    return take(open_, rounded);
  }

  void free(void* pointer) {
    const std::lock_guard lock(mutex_);
    const auto block = std::prev(blocks_.upper_bound(static_cast<char*>(pointer)));
    if (--block->second.num_arrays > 0) return;
    if (block->first == open_) open_ = nullptr;
    free_aligned(block->first);
    blocks_.erase(block);
  }

 private:
  struct Block {
    size_t used = 0;
    size_t num_arrays = 0;
  };

  void* take(char* start, size_t num_bytes) {
    Block& block = blocks_.at(start);
    void* pointer = start + block.used;
    block.used += num_bytes;
    ++block.num_arrays;
    return pointer;
  }

  std::mutex mutex_;
  std::map<char*, Block> blocks_;  // by their start
  char* open_ = nullptr;
};

// Never destroyed: weights may be freed by whatever ends last.
Blocks& blocks() {
  static Blocks& instance = *new Blocks;
  return instance;
}

}  // namespace

void* allocate_aligned(size_t num_bytes) {
  const bool huge = num_bytes >= kHugePage;
  const size_t alignment = huge ? kHugePage : kCacheLine;
  const size_t rounded = round_up(num_bytes == 0 ? 1 : num_bytes, kCacheLine);
  void* pointer = nullptr;
  if (posix_memalign(&pointer, alignment, rounded) != 0) throw std::bad_alloc();
  // Advice only: where huge pages are off, the memory is as good as any.
  if (huge) madvise(pointer, rounded, MADV_HUGEPAGE);
  return pointer;
}

void free_aligned(void* pointer) { std::free(pointer); }

void* allocate_side_by_side(size_t num_bytes) { return blocks().allocate(num_bytes); }

void free_side_by_side(void* pointer) { blocks().free(pointer); }

}  // namespace speculators
