#include "data/permutation.h"

#include <array>
#include <bit>
#include <numeric>
#include <utility>

namespace speculators {
namespace {

using Word128 = unsigned __int128;

// Spreads a seed over the state of a generator (NumPy's SeedSequence with a
// pool of four words).
class SeedSequence {
 public:
  explicit SeedSequence(uint64_t seed) {
    std::array<uint32_t, 4> entropy{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 0};
    uint32_t constant = 0x43b0d7e5;
    const auto hash = [&constant](uint32_t value) {
      value ^= constant;
      constant *= 0x931e8875;
      value *= constant;
      return value ^ (value >> 16);
    };
    for (size_t i = 0; i < pool_.size(); ++i) pool_[i] = hash(entropy[i]);
    for (size_t from = 0; from < pool_.size(); ++from) {
      for (size_t to = 0; to < pool_.size(); ++to) {
        if (from != to) pool_[to] = mix(pool_[to], hash(pool_[from]));
      }
    }
  }

  // The first four 64-bit words of the generated state.
  std::array<uint64_t, 4> state() const {
    std::array<uint32_t, 8> words{};
    uint32_t constant = 0x8b51f9dd;
    for (size_t i = 0; i < words.size(); ++i) {
      uint32_t value = pool_[i % pool_.size()] ^ constant;
      constant *= 0x58f38ded;
      value *= constant;
      words[i] = value ^ (value >> 16);
    }
    std::array<uint64_t, 4> state{};
    for (size_t i = 0; i < state.size(); ++i) state[i] = words[2 * i] | static_cast<uint64_t>(words[2 * i + 1]) << 32;
    return state;
  }

 private:
  static uint32_t mix(uint32_t a, uint32_t b) {
    const uint32_t mixed = 0xca01f9dd * a - 0x4973f715 * b;
    return mixed ^ (mixed >> 16);
  }
  std::array<uint32_t, 4> pool_{};
};

class Pcg64 {
 public:
  explicit Pcg64(uint64_t seed) {
    const auto words = SeedSequence(seed).state();
    increment_ = (Word128{words[2]} << 64 | words[3]) << 1 | 1;
    step();
    state_ += Word128{words[0]} << 64 | words[1];
    step();
  }

  uint64_t next64() {
    step();
    const auto folded = static_cast<uint64_t>(state_ >> 64) ^ static_cast<uint64_t>(state_);
    const auto turn = static_cast<unsigned>(state_ >> 122);
    return folded >> turn | folded << (-turn & 63);
  }

  // One 64-bit draw serves two 32-bit ones, the low half first.
  uint32_t next32() {
    if (has_half_) {
      has_half_ = false;
      return half_;
    }
    const uint64_t whole = next64();
    half_ = static_cast<uint32_t>(whole >> 32);
    has_half_ = true;
    return static_cast<uint32_t>(whole);
  }

  // Uniform in [0, last]: draws as many bits as `last` has until they fit.
  uint64_t at_most(uint64_t last) {
    if (last == 0) return 0;
    const uint64_t mask = ~uint64_t{0} >> std::countl_zero(last);
    while (true) {
      const uint64_t value = (last <= UINT32_MAX ? next32() : next64()) & mask;
      if (value <= last) return value;
    }
  }

 private:
  void step() {
    constexpr Word128 kMultiplier = Word128{0x2360ed051fc65da4} << 64 | 0x4385df649fccf645;
    state_ = state_ * kMultiplier + increment_;
  }

  Word128 state_ = 0, increment_ = 0;
  uint32_t half_ = 0;
  bool has_half_ = false;
};

}  // namespace

std::vector<size_t> numpy_permutation(uint64_t seed, size_t size) {
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  Pcg64 random(seed);
  for (size_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.at_most(i - 1)]);
  return order;
}

}  // namespace speculators
