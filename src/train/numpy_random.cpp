#include "train/numpy_random.h"

#include <array>
#include <bit>
#include <numeric>
#include <utility>

namespace speculators {
namespace {

constexpr int kPoolSize = 4;

// SeedSequence's hash: each use advances its constant.
class SeedHash {
 public:
  SeedHash(uint32_t start, uint32_t multiplier) : constant_(start), multiplier_(multiplier) {}
  uint32_t operator()(uint32_t value) {
    value ^= constant_;
    constant_ *= multiplier_;
    value *= constant_;
    return value ^ (value >> 16);
  }

 private:
  uint32_t constant_, multiplier_;
};

uint32_t mix(uint32_t left, uint32_t right) {
  const uint32_t result = 0xca01f9ddu * left - 0x4973f715u * right;
  return result ^ (result >> 16);
}

std::array<uint32_t, kPoolSize> make_pool(uint64_t seed) {
  SeedHash hash(0x43b0d7e5u, 0x931e8875u);
  std::array<uint32_t, kPoolSize> pool = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 0};
  for (uint32_t& word : pool) word = hash(word);
  for (int from = 0; from < kPoolSize; ++from) {
    for (int to = 0; to < kPoolSize; ++to) {
      if (from != to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  return pool;
}

// Four 64-bit words out of the pool, low half first.
std::array<uint64_t, 4> generate_state(uint64_t seed) {
  const auto pool = make_pool(seed);
  SeedHash hash(0x8b51f9ddu, 0x58f38dedu);
  std::array<uint64_t, 4> words = {};
  for (int i = 0; i < 8; ++i) words[i / 2] |= uint64_t{hash(pool[i % kPoolSize])} << (32 * (i % 2));
  return words;
}

}  // namespace

NumpyRandom::NumpyRandom(uint64_t seed) {
  const auto words = generate_state(seed);
  const Word start = (Word{words[0]} << 64) | words[1];
  increment_ = (((Word{words[2]} << 64) | words[3]) << 1) | 1;
  next_u64();
  state_ += start;
  next_u64();
}

uint64_t NumpyRandom::next_u64() {
  constexpr Word kMultiplier = (Word{2549297995355413924u} << 64) | 4865540595714422341u;
  state_ = state_ * kMultiplier + increment_;
  const auto high = static_cast<uint64_t>(state_ >> 64);
  return std::rotr(high ^ static_cast<uint64_t>(state_), static_cast<int>(high >> 58));
}

uint32_t NumpyRandom::next_u32() {
  if (kept_) return *std::exchange(kept_, std::nullopt);
  const uint64_t both = next_u64();
  kept_ = static_cast<uint32_t>(both >> 32);
  return static_cast<uint32_t>(both);
}

double NumpyRandom::next_double() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

// Masked rejection, as NumPy's shuffle draws (its `integers` draws otherwise).
uint64_t NumpyRandom::draw_up_to(uint64_t maximum) {
  if (maximum == 0) return 0;
  const uint64_t mask = ~uint64_t{0} >> std::countl_zero(maximum);
  for (;;) {
    const uint64_t value = (maximum >> 32 ? next_u64() : next_u32()) & mask;
    if (value <= maximum) return value;
  }
}

std::vector<int64_t> NumpyRandom::permutation(int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = count - 1; i > 0; --i) std::swap(order[i], order[draw_up_to(static_cast<uint64_t>(i))]);
  return order;
}

}  // namespace speculators
