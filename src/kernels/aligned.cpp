#include "kernels/aligned.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace speculators {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

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

}  // namespace speculators
