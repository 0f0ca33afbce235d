// The shuffles of NumPy's default generator, which Hugging Face `datasets`
// shuffles with: the same seed gives upstream's row order. Source: PCG64
// (XSL-RR, arXiv O'Neill 2014), NumPy's SeedSequence and Generator.permutation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace speculators {

// numpy.random.default_rng(seed).permutation(size).
std::vector<size_t> numpy_permutation(uint64_t seed, size_t size);

// The items in that order, as datasets.Dataset.shuffle(seed) puts them.
template <class T>
std::vector<T> shuffled(std::vector<T> items, uint64_t seed) {
  std::vector<T> result;
  result.reserve(items.size());
  for (const size_t i : numpy_permutation(seed, items.size())) result.push_back(std::move(items[i]));
  return result;
}

}  // namespace speculators
