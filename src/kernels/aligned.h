// Memory for data that kernels stream: aligned to cache lines, and to huge pages where it is large, which saves the
// page-table walks of a decode step that touches every weight once.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace speculators {

// Uninitialised bytes, at least cache-line aligned. Throws std::bad_alloc.
void* allocate_aligned(size_t num_bytes);
void free_aligned(void* pointer);

// The same for data that lives long, such as weights: arrays too small for huge pages of their own lie side by side in
// large blocks. A block returns to the system when the last array in it is freed. Thread-safe.
void* allocate_side_by_side(size_t num_bytes);
void free_side_by_side(void* pointer);

template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(allocate_aligned(count * sizeof(T))); }
  void deallocate(T* pointer, size_t) { free_aligned(pointer); }
  template <class U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

template <class T>
struct WeightAllocator {
  using value_type = T;
  WeightAllocator() = default;
  template <class U>
  WeightAllocator(const WeightAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(allocate_side_by_side(count * sizeof(T))); }
  void deallocate(T* pointer, size_t) { free_side_by_side(pointer); }
  template <class U>
  bool operator==(const WeightAllocator<U>&) const {
    return true;
  }
};

template <class T>
using WeightVector = std::vector<T, WeightAllocator<T>>;

struct AlignedDelete {
  void operator()(void* pointer) const { free_aligned(pointer); }
};
// An array of plain numbers that nothing has initialised.
template <class T>
using AlignedArray = std::unique_ptr<T[], AlignedDelete>;

template <class T>
AlignedArray<T> make_aligned_array(size_t count) {
  return AlignedArray<T>(static_cast<T*>(allocate_aligned(count * sizeof(T))));
}

}  // namespace speculators
