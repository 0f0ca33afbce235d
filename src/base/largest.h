// The few largest of many numbers: the likeliest tokens of a vocabulary row. Without linkage, since it is compiled for
// several instruction sets. Thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace speculators {
namespace {

// Indices of the `count` largest of values [size], the largest first, of equal ones the first. 1 <= count <= size.
// Values must be numbers.
template <class Index>
void find_largest(const float* values, int64_t size, int64_t count, Index* indices) {
  const auto is_larger = [&](Index a, Index b) { return values[a] > values[b] || (values[a] == values[b] && a < b); };
  std::iota(indices, indices + count, Index{0});
  std::make_heap(indices, indices + count, is_larger);  // the smallest kept one in front
  constexpr int64_t kBlock = 64;                        // tested as a whole before its elements are
  for (int64_t begin = count; begin < size; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, size);
    const float least = values[indices[0]];
    int hits = 0;
    for (int64_t i = begin; i < end; ++i) hits += values[i] > least;
    if (hits == 0) continue;
    for (int64_t i = begin; i < end; ++i) {
      if (!is_larger(static_cast<Index>(i), indices[0])) continue;
      std::pop_heap(indices, indices + count, is_larger);
      indices[count - 1] = static_cast<Index>(i);
      std::push_heap(indices, indices + count, is_larger);
    }
  }
  std::sort_heap(indices, indices + count, is_larger);
}

}  // namespace
}  // namespace speculators
