#include "train/multipack_sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <queue>
#include <span>
#include <utility>

#include "base/errors.h"
#include "train/numpy_random.h"

namespace speculators {
namespace {

using Slots = std::vector<std::vector<int64_t>>;  // per rank: positions in the candidate list

// Longest processing time: the longest candidate goes to the emptiest slot. Equal lengths: larger position first
// (a reversed ascending sort); equal fills: smaller slot first. Nothing when one does not fit.
std::optional<Slots> pack(std::span<const int64_t> lengths, int64_t row_length, int64_t num_slots) {
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return std::pair(lengths[a], a) > std::pair(lengths[b], b); });
  using Fill = std::pair<int64_t, int64_t>;  // tokens, slot
  std::priority_queue<Fill, std::vector<Fill>, std::greater<>> emptiest;
  for (int64_t slot = 0; slot < num_slots; ++slot) emptiest.push({0, slot});
  Slots slots(static_cast<size_t>(num_slots));
  for (const int64_t position : order) {
    const auto [fill, slot] = emptiest.top();
    if (fill + lengths[position] > row_length) return std::nullopt;
    emptiest.pop();
    emptiest.push({fill + lengths[position], slot});
    slots[slot].push_back(position);
  }
  return slots;
}

struct Pack {
  int64_t num_samples = 0;
  Slots slots;
};

// The most samples from the front of `lengths` that fit into one row per rank, by bisection.
Pack pack_front(std::span<const int64_t> lengths, const MultipackOptions& options) {
  const int64_t budget = options.row_length * options.num_replicas;
  int64_t low = 1, high = 1, total = 0;
  for (const int64_t length : lengths) {
    total += length;
    if (total > budget) break;
    ++high;
  }
  std::optional<Slots> found;
  while (high - low > 1 && high > options.num_replicas) {
    const int64_t middle = (low + high) / 2;
    found = pack(lengths.first(middle), options.row_length, options.num_replicas);
    (found ? low : high) = middle;
  }
  if (!found) found = pack(lengths.first(low), options.row_length, options.num_replicas);
  return {low, std::move(found).value()};
}

}  // namespace

MultipackSampler::MultipackSampler(std::vector<int64_t> lengths, MultipackOptions options)
    : lengths_(std::move(lengths)), options_(options) {
  if (options_.row_length < 1) {
    throw UsageError(fmt::format("total-seq-len: expected at least 1, got {}", options_.row_length));
  }
  if (options_.rank < 0 || options_.rank >= options_.num_replicas) {
    throw UsageError(fmt::format("rank: expected 0 ... {}, got {}", options_.num_replicas - 1, options_.rank));
  }
  for (int64_t& length : lengths_) length = std::clamp<int64_t>(length, 0, options_.row_length);
}

std::vector<std::vector<int64_t>> MultipackSampler::batches(int64_t epoch) const {
  const auto count = static_cast<int64_t>(lengths_.size());
  const auto order = NumpyRandom(options_.seed + static_cast<uint64_t>(epoch)).permutation(count);
  std::vector<int64_t> shuffled(lengths_.size());
  std::transform(order.begin(), order.end(), shuffled.begin(), [&](int64_t sample) { return lengths_[sample]; });

  std::vector<std::vector<int64_t>> batches;
  int64_t next = 0;
  while (count - next >= options_.num_replicas) {
    const Pack packed = pack_front(std::span(shuffled).subspan(next), options_);
    // The slot with many short samples moves over the ranks from batch to batch.
    const int64_t rotation = static_cast<int64_t>(batches.size()) % options_.num_replicas;
    const int64_t slot = (options_.rank - rotation + options_.num_replicas) % options_.num_replicas;
    auto& batch = batches.emplace_back();
    for (const int64_t position : packed.slots[slot]) batch.push_back(order[next + position]);
    next += packed.num_samples;
  }
  return batches;
}

}  // namespace speculators
